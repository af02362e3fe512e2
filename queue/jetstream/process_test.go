package jetstream

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/internal/natslink"
)

// serverEnv makes the test binary a NATS server, which ends with its standard input.
const serverEnv = "ROOMTIDE_TEST_NATS_SERVER"

func TestMain(m *testing.M) {
	if options := os.Getenv(serverEnv); options != "" {
		os.Exit(serve(options))
	}
	goleak.VerifyTestMain(m)
}

// place is where a server of a cluster is.
type place struct {
	Name   string
	Dir    string
	Port   int
	Route  int
	Routes []int // of all servers
}

func serve(text string) int {
	var p place
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	o := &server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, StoreDir: p.Dir, NoLog: true, NoSigs: true, DisableShortFirstPing: true,
		JetStream: true, JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 26,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: p.Route, ConnectRetries: 1000},
	}
	for _, route := range p.Routes {
		if route != p.Route {
			o.Routes = append(o.Routes, server.RoutesFromStr("nats://127.0.0.1:"+strconv.Itoa(route))...)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// processes are three servers, each in a process of its own, which can be killed.
type processes struct {
	t       *testing.T
	places  [3]place
	running [3]*exec.Cmd
	stdin   [3]io.Closer
}

func startProcesses(t *testing.T) *processes {
	ps := &processes{t: t}
	var routes []int
	for range ps.places {
		routes = append(routes, freePort(t))
	}
	for i := range ps.places {
		ps.places[i] = place{Name: fmt.Sprint("server", i), Dir: t.TempDir(), Port: freePort(t), Route: routes[i], Routes: routes}
		ps.start(i)
	}
	t.Cleanup(func() {
		for i := range ps.running {
			ps.kill(i)
		}
	})
	return ps
}

func (ps *processes) start(i int) {
	ps.t.Helper()
	options, err := json.Marshal(ps.places[i])
	if err != nil {
		ps.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+string(options))
	cmd.Stderr = os.Stderr
	if ps.stdin[i], err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		ps.t.Fatal(err)
	}
	ps.running[i] = cmd
}

// kill ends a server by SIGKILL, also one that is halted.
func (ps *processes) kill(i int) {
	if cmd := ps.running[i]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "killed" is what is expected
		_ = ps.stdin[i].Close()
		ps.running[i] = nil
	}
}

// halt stops a server without ending it, or lets it go on.
func (ps *processes) signal(i int, s syscall.Signal) {
	ps.t.Helper()
	if err := ps.running[i].Process.Signal(s); err != nil {
		ps.t.Fatal(err)
	}
}

// index is the number of the server with a name.
func (ps *processes) index(name string) int {
	ps.t.Helper()
	for i := range ps.places {
		if ps.places[i].Name == name {
			return i
		}
	}
	ps.t.Fatalf("no server is called %q", name)
	return 0
}

// connect is a connection as a node has it, to server first before others.
func (ps *processes) connect(first int) *nats.Conn {
	ps.t.Helper()
	var urls []string
	for i := range ps.places {
		urls = append(urls, fmt.Sprint("nats://127.0.0.1:", ps.places[(first+i)%len(ps.places)].Port))
	}
	for late := time.Now().Add(20 * time.Second); ; {
		link, err := natslink.Dial(natslink.Config{URLs: urls, Node: "n", Timeout: 10 * time.Second})
		if err == nil {
			ps.t.Cleanup(link.Close)
			return link.NATS()
		}
		if time.Now().After(late) {
			ps.t.Fatal(err)
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
