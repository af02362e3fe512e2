// Package testnats runs real NATS servers inside the test process: one, or three that
// form a cluster, on free loopback ports. A server can be stopped and started again at
// its address. All of them end with the test.
package testnats

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// patience is how long a server may take for anything.
const patience = 2 * time.Minute

// Servers is a set of servers that know each other. A test uses it from one goroutine.
type Servers struct {
	t       testing.TB
	options []*server.Options
	running []*server.Server // nil while stopped
}

// Start starts count servers, one cluster if there are several, and waits until each
// one has connections to the others. change, if not nil, changes the options of a
// server before it starts.
func Start(t testing.TB, count int, change func(*server.Options)) *Servers {
	t.Helper()
	s := &Servers{t: t, running: make([]*server.Server, count)}
	t.TempDir() // the directories of the servers are removed behind what follows
	t.Cleanup(func() {
		for i := range s.running {
			s.Stop(i)
		}
	})
	var routes []int
	for i := range count {
		o := &server.Options{
			ServerName: "server" + strconv.Itoa(i), Host: "127.0.0.1", Port: freePort(t), StoreDir: t.TempDir(),
			NoLog: true, NoSigs: true, MaxControlLine: 4096, DisableShortFirstPing: true,
		}
		if count > 1 {
			routes = append(routes, freePort(t))
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: routes[i]}
			// A stopped server is looked for until it is back.
			o.Cluster.ConnectRetries = 1000
		}
		s.options = append(s.options, o)
	}
	for i, o := range s.options {
		for _, port := range routes {
			if port != o.Cluster.Port {
				o.Routes = append(o.Routes, server.RoutesFromStr("nats://127.0.0.1:"+strconv.Itoa(port))...)
			}
		}
		if change != nil {
			change(o)
		}
		s.start(i)
	}
	s.settle()
	return s
}

// URL returns the address of a server for clients.
func (s *Servers) URL(i int) string {
	return "nats://127.0.0.1:" + strconv.Itoa(s.options[i].Port)
}

// Monitor returns the URL where a server tells of itself, if its options have an HTTPPort.
func (s *Servers) Monitor(i int) string { return "http://" + s.running[i].MonitorAddr().String() }

// URLs returns the addresses of all servers, that of server first in front.
func (s *Servers) URLs(first int) []string {
	var urls []string
	for i := range s.options {
		urls = append(urls, s.URL((first+i)%len(s.options)))
	}
	return urls
}

// Stop ends a server at once: its clients see their connections break. A stopped one
// stays as it is.
func (s *Servers) Stop(i int) {
	if r := s.running[i]; r != nil {
		r.Shutdown()
		r.WaitForShutdown()
		s.running[i] = nil
	}
}

// Restart starts a server again at its address, stopping it first if it runs, and
// waits until it has connections to the others.
func (s *Servers) Restart(i int) {
	s.t.Helper()
	s.Stop(i)
	s.start(i)
	s.settle()
}

// Await waits until every running server knows of count interests in a subject: one
// for each subscription of its own clients, and one for each other server that has any.
func (s *Servers) Await(subject string, count int) {
	s.t.Helper()
	s.until("interest in "+subject, func(r *server.Server) bool { return r.GlobalAccount().Interest(subject) >= count })
}

// Connect returns a plain connection to a server, which ends with the test.
func (s *Servers) Connect(i int) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.URL(i), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		s.t.Fatalf("testnats: %v", err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// Drop makes a server end the connections of all its clients, which may come back.
func (s *Servers) Drop(i int) {
	s.t.Helper()
	conns, err := s.running[i].Connz(&server.ConnzOptions{})
	if err != nil {
		s.t.Fatalf("testnats: %v", err)
	}
	for _, c := range conns.Conns {
		if err := s.running[i].DisconnectClientByID(c.Cid); err != nil {
			s.t.Logf("testnats: %v", err) // it was gone already
		}
	}
}

func (s *Servers) start(i int) {
	s.t.Helper()
	r, err := server.NewServer(s.options[i].Clone())
	if err != nil {
		s.t.Fatalf("testnats: %v", err)
	}
	s.running[i] = r
	r.Start()
	if !r.ReadyForConnections(patience) {
		s.t.Fatalf("testnats: server %d does not take connections", i)
	}
}

// settle waits until the running servers have connections to each other.
func (s *Servers) settle() {
	s.t.Helper()
	others := -1
	for _, r := range s.running {
		if r != nil {
			others++
		}
	}
	s.until("routes", func(r *server.Server) bool {
		peers := map[string]bool{}
		routes, err := r.Routez(&server.RoutezOptions{})
		if err != nil {
			return false
		}
		for _, route := range routes.Routes {
			peers[route.RemoteID] = true
		}
		return len(peers) >= others
	})
}

// until asks every running server until it says yes: NATS tells none of this by itself.
func (s *Servers) until(what string, yes func(*server.Server) bool) {
	s.t.Helper()
	ask := time.NewTicker(5 * time.Millisecond)
	defer ask.Stop()
	late := time.After(patience)
	for i, r := range s.running {
		for r != nil && !yes(r) {
			select {
			case <-ask.C:
			case <-late:
				s.t.Fatalf("testnats: server %d has no %s", i, what)
			}
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testnats: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
