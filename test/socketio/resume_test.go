package socketio

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// TestSamples runs the three lines at the beginning of the specification.
func TestSamples(t *testing.T) {
	code := documented(t, "In three lines")
	if len(code) != 1 {
		t.Fatalf("%d samples", len(code))
	}
	w := newFixture(t)
	for i, v := range versions {
		s := newObject(t, "sample", v.name, code[0], w.node.URL(""))
		text := "hello " + v.version
		w.until("all clients to be online", func() bool {
			var r struct {
				Count int `json:"online_count"`
			}
			w.http("GET", "/v1/rooms/room1/online", nil, &r)
			return r.Count == i+1
		})
		w.post(int64(i+1), text)
		if lines := do[[]string](s, "printed", 1); len(lines) != 1 || lines[0] != text {
			t.Errorf("%s printed %q", v.version, lines)
		}
	}
}

// TestAuthenticationSamples runs those below "Authentication", with good and bad tokens.
func TestAuthenticationSamples(t *testing.T) {
	code := documented(t, "Authentication")
	if len(code) != 2 {
		t.Fatalf("%d samples", len(code))
	}
	w := newFixture(t, "ROOMTIDE_GUESTS=off")
	for _, v := range versions {
		sample, refused := code[0], "unauthenticated" // behind the text
		if v.name == "io1" || v.name == "io2" {
			sample = "const socket = io('https://chat.example.org', { forceNew: true });\n" + code[1]
		}
		for token, want := range map[string]string{w.token("ada"): "ada", "wrong": refused} {
			s := newObject(t, "sample", v.name, sample, w.node.URL(""), token)
			if lines := do[[]string](s, "printed", 1); len(lines) != 1 || !strings.HasSuffix(lines[0], want) {
				t.Errorf("%s printed %q, want %q", v.version, lines, want)
			}
		}
	}
}

// TestComingBack runs the samples of the specification over connections that are cut
// and a server that is killed. Every client sends, and in the end every client has every
// message once, in order.
func TestComingBack(t *testing.T) {
	code := strings.Join(documented(t, "Coming back"), "\n")
	w := newFixture(t, "ROOMTIDE_COMPRESSION=true") // so some clients compress and some do not
	p := newProxy(t, w.node.Addr)
	var all []*object
	for _, v := range versions {
		for _, m := range modes {
			if v.name != "io4" && v.name != "io2" {
				continue
			}
			name := v.name + "-" + m.name
			f := newObject(t, "resuming", v.name, code, "http://"+p.addr, m.with(fields{"auth": fields{"user": name}}), name)
			do[bool](f, "join", "room1")
			all = append(all, f)
		}
	}
	for _, f := range all {
		do[bool](f, "joined", "room1")
	}

	const each = 60
	var writing sync.WaitGroup
	for i, f := range all {
		writing.Go(func() {
			if _, err := f.call("sendAll", []any{"room1", fmt.Sprint("from ", i, ": "), each, 15}); err != nil {
				t.Error(err)
			}
		})
	}
	for i, event := range []func(){p.cut, p.cut, func() { w.restart() }, p.cut} {
		do[bool](all[i], "has", "room1", 60*(i+1)) // some are in flight
		event()
	}
	writing.Wait()

	total := int64(each*len(all) + 1)
	w.post(total, "the end")
	connects := 0
	for i, f := range all {
		do[bool](f, "has", "room1", total)
		checkApplied(t, fmt.Sprint("client ", i), do[[]frame](f, "applied", "room1"), total)
		connects += do[int](f, "connects")
		do[bool](f, "close")
	}
	if connects < 2*len(all) { // a cut may come before all clients have reconnected
		t.Errorf("%d clients connected %d times in all: too few to test anything", len(all), connects)
	}
}

// checkApplied checks that every change arrived once and in order.
func checkApplied(t *testing.T, name string, got []frame, total int64) {
	t.Helper()
	var rev, seq int64
	texts := map[string]bool{}
	for _, e := range got {
		if e.Rev <= rev {
			t.Errorf("%s: rev %d came after %d", name, e.Rev, rev)
		}
		rev = e.Rev
		if e.Type != "message" {
			continue
		}
		if e.Seq != seq+1 || texts[e.Message] {
			t.Errorf("%s: message %d %q came after %d", name, e.Seq, e.Message, seq)
		}
		seq = e.Seq
		texts[e.Message] = true
	}
	if seq != total {
		t.Errorf("%s has %d messages, want %d", name, seq, total)
	}
}

func (w *fixture) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// proxy forwards connections to the node and can cut them all.
type proxy struct {
	addr string
	to   string

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	ln, err := net.Listen("tcp", testprocess.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: ln.Addr().String(), to: to}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.cut()
		serving.Wait()
	})
	return p
}

func (p *proxy) serve(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer to.Close()
	p.mu.Lock()
	p.conns = append(p.conns, from, to)
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			io.Copy(pair[0], pair[1]) // an error ends it like the end of the stream
			from.Close()
			to.Close()
		})
	}
	both.Wait()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}
