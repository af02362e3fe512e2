package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/internal/clientaddr"
)

// stage is an HTTP server behind a door.
type stage struct {
	*testing.T
	door *door
	addr string
	reg  *prometheus.Registry
}

func newStage(t *testing.T, c doorConfig, h http.Handler) *stage {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if c.Others == nil {
		c.Others = func() int { return 0 }
	}
	reg := prometheus.NewRegistry()
	c.Registerer = reg
	d := newDoor(ln, c)
	srv := &http.Server{Handler: h, ConnState: d.stateChanged}
	done := make(chan error)
	go func() { done <- srv.Serve(d) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
		for start := time.Now(); d.conns.InUse() > 0 || d.idle.InUse() > 0; {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d connections, %d of them idle, are still counted", d.conns.InUse(), d.idle.InUse())
			}
		}
	})
	return &stage{t, d, ln.Addr().String(), reg}
}

// dial connects from a loopback address, of which each counts by itself but 127.0.0.1.
func (s *stage) dial(from string) net.Conn {
	s.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.addr)
	if err != nil { // refused already
		c, _ = net.Pipe()
		c.Close()
	}
	s.Cleanup(func() { c.Close() })
	return c
}

// get makes a request and reads the answer. It fails on a connection that was closed.
func (s *stage) get(c net.Conn) error {
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func (s *stage) wantRefused(reason string, n int) {
	s.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "roomtide_accept_refused_total" && m.GetLabel()[0].GetValue() == reason {
				if got := int(m.GetCounter().GetValue()); got != n {
					s.Errorf("%d refused by %s, want %d", got, reason, n)
				}
				return
			}
		}
	}
	s.Errorf("none was refused by %s, want %d", reason, n)
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

// What one network opens too fast is closed at once. Others, trusted proxies and this
// machine are served meanwhile.
func TestFloodOfConnections(t *testing.T) {
	s := newStage(t, doorConfig{PerSecond: idlePerNetwork, Proxies: clientaddr.Proxies{netip.MustParsePrefix("127.0.0.9/32")}}, hello)
	refused, begin := 0, time.Now()
	for range idlePerNetwork + 50 {
		c := s.dial("127.0.0.2")
		if s.get(c) != nil {
			refused++
		}
		c.Close()
	}
	sameWindow := begin.Unix()/acceptWindow == time.Now().Unix()/acceptWindow
	if sameWindow && refused != 50 {
		t.Errorf("%d of 50 too many were refused", refused)
	}
	s.wantRefused("rate", refused)
	for _, from := range []string{"127.0.0.3", "127.0.0.1", "127.0.0.9"} {
		if err := s.get(s.dial(from)); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// Connections without a request make room for newer ones, those of the network that has
// most of them first; one whose request is being answered does not.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	answer := make(chan struct{})
	s := newStage(t, doorConfig{PerSecond: 1000, Idle: &idle{6, 3}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			<-answer
		}
	}))
	defer close(answer)
	busy := s.dial("127.0.0.2")
	fmt.Fprintf(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	waits, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := func(n int) { // a client has its answer before its connection counts as idle again
		t.Helper()
		for start := time.Now(); s.door.idle.InUse() != n; runtime.Gosched() {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d idle connections, want %d", s.door.idle.InUse(), n)
			}
		}
	}
	honest := s.dial("127.0.0.3")
	if err := s.get(honest); err != nil {
		t.Fatal(err)
	}
	rest(1)
	var idle []net.Conn
	for i := range 6 {
		c := s.dial("127.0.0.2")
		if err := s.get(c); err != nil {
			t.Error(err)
		}
		idle = append(idle, c)
		rest(1 + min(i+1, 3))
	}
	for i, c := range idle {
		if there := s.get(c) == nil; there != (i >= 3) {
			t.Errorf("idle connection %d is still there: %t", i, there)
		}
	}
	if err := s.get(honest); err != nil {
		t.Errorf("another network's: %v", err)
	}
	for start := time.Now(); s.door.conns.InUse() > 5; { // what was closed is counted until HTTP sees it
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d connections", s.door.conns.InUse())
		}
	}
	answer <- struct{}{}
	if _, err := io.ReadAll(waits.Body); err != nil {
		t.Error(err)
	}
}

// There are never more connections than places, of a network and in all, nor than the
// process has descriptors for.
func TestDoorIsFull(t *testing.T) {
	var others atomic.Int64
	s := newStage(t, doorConfig{PerSecond: 1000, Max: 4, PerNetwork: 2, Files: filesReserved + 10, Others: func() int { return int(others.Load()) }}, hello)
	open := func(from string, want bool) net.Conn {
		t.Helper()
		c := s.dial(from)
		if err := s.get(c); (err == nil) != want {
			t.Errorf("from %s: %v", from, err)
		}
		return c
	}
	open("127.0.0.2", true)
	open("127.0.0.2", true)
	open("127.0.0.2", false)
	open("127.0.0.1", true)
	last := open("127.0.0.1", true)
	open("127.0.0.1", false)
	s.wantRefused("per_ip", 1)
	s.wantRefused("full", 1)
	last.Close()
	for start := time.Now(); s.door.conns.InUse() != 3; {
		if time.Since(start) > 10*time.Second {
			t.Fatal("a place does not come back")
		}
	}
	others.Store(7)
	open("127.0.0.1", false)
	s.wantRefused("files", 1)
}

// A network has its share in each window of time, and others have theirs.
func TestShares(t *testing.T) {
	s := newShares(3)
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	begin := time.Unix(1e9/acceptWindow*acceptWindow, 0)
	for i, tt := range []struct {
		from  netip.Prefix
		after time.Duration
		want  bool
	}{{a, 0, true}, {a, 1, true}, {a, time.Second, true}, {a, 2 * time.Second, false}, {b, 2 * time.Second, true}, {a, 4*time.Second - 1, false}, {a, 4 * time.Second, true}} {
		if got := s.take(tt.from, begin.Add(tt.after)); got != tt.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
}

func TestHandshakeRate(t *testing.T) {
	if n := handshakeRate(7); n != 7 {
		t.Error(n)
	}
	if n := handshakeRate(0); n < acceptRate || n%acceptRate != 0 {
		t.Error(n)
	}
}

// A door closes like any listener.
func TestDoorCloses(t *testing.T) {
	s := newStage(t, doorConfig{PerSecond: 1}, hello)
	s.door.Close()
	if _, err := s.door.Accept(); !errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "nil") {
		t.Error(err)
	}
}
