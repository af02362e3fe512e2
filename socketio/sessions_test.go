package socketio_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

// keeper is a program that keeps the sessions itself.
type keeper struct {
	claims []string
	panics bool
}

func (k *keeper) PID(s *socketio.Socket) string { return "secret of " + s.ID() }

func (k *keeper) Claim(s *socketio.Socket, pid, offset string) string {
	k.claims = append(k.claims, pid+" "+offset+" "+string(s.Auth()))
	if k.panics {
		panic("the program's own")
	}
	id, _ := strings.CutPrefix(pid, "secret of ")
	return id
}

func TestSessions(t *testing.T) {
	joined, k := make(chan *socketio.Socket, 1), &keeper{}
	w := overTCP(t, socketio.Options{}, func(io *socketio.Server) {
		n := io.Of("/")
		n.Recover(k)
		n.Use(func(s *socketio.Socket) error {
			if strings.Contains(string(s.Auth()), "banned") {
				return &socketio.ConnectError{Message: "no"}
			}
			return nil
		})
		n.OnConnect(func(s *socketio.Socket) { joined <- s })
	})
	for _, c := range []struct {
		what, auth, want string
		recovered        bool
	}{
		{"no auth", "", "", false},
		{"a new client", `{"user":"ann"}`, "", false},
		{"a known session", `{"pid":"secret of old","offset":"7"}`, "old", true},
		{"a session without events", `{"pid":"secret of old"}`, "old", true},
		{"whom the program does not know", `{"pid":"secret of "}`, "", false},
		{"of another shape", `{"pid":7}`, "", false},
	} {
		p := w.connect("4")
		p.send("40" + c.auth)
		got := p.read()
		s := <-joined
		if want := fmt.Sprintf(`40{"sid":%q,"pid":"secret of %s"}`, s.ID(), s.ID()); got != want {
			t.Errorf("%s: %s, want %s", c.what, got, want)
		}
		if s.Recovered() != c.recovered || c.recovered && s.ID() != c.want || w.io.Of("/").Socket(s.ID()) != s {
			t.Errorf("%s: recovered %v, %s", c.what, s.Recovered(), s.ID())
		}
	}
	if len(k.claims) != 3 || k.claims[0] != `secret of old 7 {"pid":"secret of old","offset":"7"}` || w.io.Stats().Recovered != 2 {
		t.Errorf("%q, %+v", k.claims, w.io.Stats())
	}

	p := w.connect("4")
	p.send(`40{"pid":"secret of old","banned":true}`)
	if got := p.read(); got != `44{"message":"no"}` || len(k.claims) != 3 {
		t.Errorf("%s, %q", got, k.claims)
	}
	k.panics = true
	p.send(`40{"pid":"secret of old"}`)
	if got := p.read(); !strings.HasPrefix(got, `40{"sid":`) {
		t.Errorf("the program panicked: %s", got)
	}
	if s := <-joined; s.Recovered() || w.io.Stats().Panics != 1 {
		t.Errorf("recovered %v, %+v", s.Recovered(), w.io.Stats())
	}
	old := w.connect("3") // is connected without asking, and resumes nothing
	if got := old.read(); got != "40" || (<-joined).Recovered() {
		t.Errorf("protocol 4: %s", got)
	}
}

// ponged is a Writer that counts answers to pings.
type ponged struct {
	*engineio.Socket
	pongs *atomic.Int64
}

func (p ponged) Pong() { p.pongs.Add(1) }

func TestPongWriter(t *testing.T) {
	var pongs atomic.Int64
	o := socketio.Options{Engine: engineio.Options{PingInterval: time.Second}, Writer: func(e *engineio.Socket) socketio.Writer { return ponged{e, &pongs} }}
	inBubble(t, o, echo, func(w *world) {
		p := w.connect("4")
		p.send("40")
		p.read()
		p.read() // auth
		time.AfterFunc(3500*time.Millisecond, func() { p.send(`42["message"]`) })
		if got := p.read(); got != `42["message-back"]` { // p answers pings while it reads
			w.Error(got)
		}
		if n := pongs.Load(); n != 3 {
			w.Errorf("%d pongs", n)
		}
	})
}
