package testnats

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// Processes are real nats-server processes: one, or several that form a cluster. Each has
// JetStream, which waits for the disk at every write ("sync_interval: always"). A server
// can be killed, paused and started again on its address and data. A test uses them from
// one goroutine.
type Processes struct {
	t       testing.TB
	program string
	servers []*natsProcess
}

type natsProcess struct {
	addr, monitor, route string // each a host and a port
	config               string
	process              *testprocess.Process // nil while down
}

// Place is where processes keep their files and how they reach each other; the zero one
// is a directory of the test, and directly.
type Place struct {
	Route func(from, to int, addr string) string // the address at which a server finds another one
	Store map[int]string                         // where a server has its JetStream
}

// StartProcesses builds the nats-server of this module's go.mod, starts count of them and
// waits until they are ready. They tell clients no addresses but the one that was dialled.
func StartProcesses(t testing.TB, count int, at Place) *Processes {
	t.Helper()
	dir := t.TempDir()
	s := &Processes{t: t, program: filepath.Join(dir, "nats-server")}
	if out, err := exec.Command("go", "build", "-o", s.program, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("testnats: building nats-server: %v\n%s", err, out)
	}
	for range count {
		s.servers = append(s.servers, &natsProcess{addr: testprocess.FreeAddr(t), monitor: testprocess.FreeAddr(t), route: testprocess.FreeAddr(t)})
	}
	for i := range s.servers {
		s.configure(i, dir, &at)
		s.start(i)
	}
	s.Settle()
	return s
}

// configure writes the settings of a server.
func (s *Processes) configure(i int, dir string, at *Place) {
	s.t.Helper()
	n := s.servers[i]
	store := at.Store[i]
	if store == "" {
		store = filepath.Join(dir, strconv.Itoa(i))
	}
	text := fmt.Sprintf("server_name: server%d\nlisten: %q\nhttp: %q\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", i, n.addr, n.monitor, store)
	var routes []string
	for to, other := range s.servers {
		addr := other.route
		if at.Route != nil && to != i {
			addr = at.Route(i, to, addr)
		}
		routes = append(routes, strconv.Quote("nats://"+addr))
	}
	if len(routes) > 1 {
		text += fmt.Sprintf("cluster {\n  name: test\n  listen: %q\n  no_advertise: true\n  connect_retries: 1000\n  routes: [%s]\n}\n", n.route, strings.Join(routes, ", "))
	}
	n.config = filepath.Join(dir, fmt.Sprintf("server%d.conf", i))
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Addr is the host and port of a server.
func (s *Processes) Addr(i int) string { return s.servers[i].addr }

// Pids are the processes that run.
func (s *Processes) Pids() (pids []int) {
	for _, n := range s.servers {
		if n.process != nil {
			pids = append(pids, n.process.Pid())
		}
	}
	return pids
}

// Kill ends a server with SIGKILL.
func (s *Processes) Kill(i int) {
	s.t.Helper()
	s.servers[i].process.Kill()
	s.servers[i].process = nil
}

// Pause halts a server with SIGSTOP; Continue lets it go on.
func (s *Processes) Pause(i int) { s.t.Helper(); s.servers[i].process.Pause() }

// Continue undoes Pause.
func (s *Processes) Continue(i int) { s.t.Helper(); s.servers[i].process.Continue() }

// Restart starts a server that was killed. Settle waits until it is one of the cluster.
func (s *Processes) Restart(i int) { s.t.Helper(); s.start(i) }

func (s *Processes) start(i int) {
	s.t.Helper()
	n := s.servers[i]
	n.process = testprocess.Spawn(s.t, exec.Command(s.program, "-c", n.config))
}

// Output is the end of what a running server wrote so far.
func (s *Processes) Output(i int) string { return s.servers[i].process.Output() }

// Settle waits until the running servers take clients and have routes to each other.
func (s *Processes) Settle() {
	s.t.Helper()
	others := len(s.Pids()) - 1
	deadline := time.After(patience)
	for i, n := range s.servers {
		for n.process != nil && !n.settled(others) {
			select {
			case <-n.process.Ended():
				s.t.Fatalf("testnats: server %d ended by itself\n%s", i, n.process.Output())
			case <-deadline:
				s.t.Fatalf("testnats: server %d is not ready\n%s", i, n.process.Output())
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func (n *natsProcess) settled(others int) bool {
	var routes struct {
		Routes []struct {
			RemoteID string `json:"remote_id"`
		} `json:"routes"`
	}
	if !n.ask("/healthz?js-enabled-only=true", nil) || !n.ask("/routez", &routes) {
		return false
	}
	peers := map[string]bool{}
	for _, r := range routes.Routes {
		peers[r.RemoteID] = true
	}
	return len(peers) >= others
}

// ask reports whether the monitoring answers 200, and decodes the answer.
func (n *natsProcess) ask(path string, answer any) bool {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + n.monitor + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && (answer == nil || json.NewDecoder(resp.Body).Decode(answer) == nil)
}
