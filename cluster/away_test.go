package cluster

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/internal/testnats"
)

// shelf is what one node of a test keeps, by name.
type shelf struct {
	*Away
	mu      sync.Mutex
	has     map[string]string
	leaving bool
}

func (s *shelf) give(name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what, ok := s.has[name]
	if !ok {
		return nil, s.leaving
	}
	delete(s.has, name)
	return []byte(what), false
}

func (s *shelf) take(what []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, text, _ := strings.Cut(string(what), "=")
	s.has[name] = text
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.has)
}

func openShelf(t *testing.T, servers *testnats.Servers, nodes int) *shelf {
	t.Helper()
	return openShelfOver(t, servers.Connect(0), nodes)
}

func openShelfOver(t *testing.T, nc *nats.Conn, nodes int) *shelf {
	t.Helper()
	s := &shelf{has: map[string]string{}}
	var err error
	s.Away, err = OpenAway(AwayConfig{
		NATS: nc, Prefix: "rt.test", Nodes: func() int { return nodes }, Give: s.give, Keep: s.take, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a node has is given once, to the one that asks.
func TestAway(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	a, b, c := openShelf(t, servers, 3), openShelf(t, servers, 3), openShelf(t, servers, 3)
	c.has["x"], a.has["own"] = "1", "2"
	if got := a.Ask(t.Context(), "x"); string(got) != "1" || c.len() != 0 {
		t.Errorf("got %q, %d are left", got, c.len())
	}
	for _, name := range []string{"x", ""} {
		if got := a.Ask(t.Context(), name); got != nil {
			t.Errorf("%q: %q", name, got)
		}
	}
	if got := b.Ask(t.Context(), "own"); string(got) != "2" {
		t.Errorf("%q", got)
	}
	b.Close()
	c.has["x"] = "3" // a node that is gone does not hide what others have
	if got := a.Ask(t.Context(), "x"); string(got) != "3" {
		t.Errorf("%q", got)
	}
	if got := a.Ask(t.Context(), "x"); got != nil {
		t.Errorf("%q", got)
	}
	(*Away)(nil).Close()
}

// What is handed over is with one of the others, and with none if there are none. It is
// found also by a node that has asked while it was on its way.
func TestHandOver(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	a, b, c := openShelf(t, servers, 3), openShelf(t, servers, 3), openShelf(t, servers, 3)
	for _, text := range []string{"x=1", "y=2", "z=3"} {
		if a.HandOver([]byte(text)) {
			t.Errorf("nobody takes %s", text)
		}
	}
	if a.len() != 0 || b.len()+c.len() != 3 {
		t.Errorf("%d, %d and %d", a.len(), b.len(), c.len())
	}
	a.mu.Lock()
	a.leaving = true
	a.mu.Unlock()
	found := make(chan []byte)
	go func() { found <- b.Ask(t.Context(), "late") }()
	if a.HandOver([]byte("late=4")) {
		t.Error("nobody takes the last one")
	}
	if got := <-found; string(got) != "4" {
		t.Errorf("%q", got)
	}
	b.HandOver([]byte("from b=5"))
	if !c.HandOver([]byte("from c=6")) {
		t.Error("somebody takes what the last node has")
	}
}

// What has certainly not left the process stays: what is too large for NATS, and all of it
// while NATS is out of reach, with the options of natslink.
func TestHandOverStays(t *testing.T) {
	servers := testnats.Start(t, 1, nil)
	lost := make(chan struct{})
	nc, err := nats.Connect(servers.URL(0), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { close(lost) }), nats.NoCallbacksAfterClientClose())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	a, b := openShelfOver(t, nc, 2), openShelf(t, servers, 2)
	if !a.HandOver(make([]byte, nc.MaxPayload()+1)) {
		t.Error("what is too large is gone")
	}
	if a.HandOver([]byte("x=1")) || b.len() != 1 {
		t.Errorf("the other node has %d", b.len())
	}
	servers.Stop(0)
	<-lost
	if !a.HandOver([]byte("y=2")) {
		t.Error("what could not be sent is gone")
	}
}
