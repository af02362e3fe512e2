package socketio

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestRecovered covers clients that join once and leave reconnecting to their library's
// connection state recovery. Their connections are cut repeatedly while three rooms
// receive messages, and the node is restarted twice. In the end every client has every
// message of every room once, in order.
func TestRecovered(t *testing.T) {
	w := newFixture(t, "ROOMTIDE_COMPRESSION=true")
	p := newProxy(t, w.node.Addr)
	rooms := []string{"room1", "room2", "room3"}
	var all []*object
	for i := range 8 {
		m := modes[i%len(modes)]
		auth := fields{"auth": fields{"user": fmt.Sprint("user", i)}}
		if i%2 == 1 {
			auth = nil // a guest without a name is identified by the secret alone
		}
		s := newObject(t, "recovering", "io4", "http://"+p.addr, m.with(auth), rooms)
		do[bool](s, "joined")
		all = append(all, s)
	}
	const total, cuts, restarts = 300, 8, 2
	seqs := map[string]int64{}
	for i := range total {
		room := rooms[i*i%7%3]
		var r frame
		if status := w.http(http.MethodPost, "/v1/rooms/"+room+"/messages", fields{"message": fmt.Sprint("text ", i)}, &r); status/100 != 2 {
			t.Fatalf("posting: %d", status)
		}
		if seqs[room]++; r.Seq != seqs[room] {
			t.Fatalf("%s: message %d, want %d", room, r.Seq, seqs[room])
		}
		switch {
		case i%(total/restarts) == 120:
			w.restartGracefully()
		case i%(total/cuts) == 20:
			for _, s := range all {
				do[bool](s, "has", i/3)
			}
			p.cut()
		}
	}
	for i, s := range all {
		do[bool](s, "has", total)
		checkReceived(t, fmt.Sprint("client ", i), do[[]frame](s, "received"), seqs)
		c := do[struct{ Recovered, Fresh int }](s, "connects")
		if c.Fresh != 1 || c.Recovered < restarts {
			t.Errorf("client %d: %+v", i, c)
		}
		do[bool](s, "close")
	}
}

// checkReceived checks that every message arrived once, in the order of its room.
func checkReceived(t *testing.T, name string, got []frame, want map[string]int64) {
	t.Helper()
	seqs := map[string]int64{}
	for _, e := range got {
		if seqs[e.Room]++; e.Type != "message" || e.Seq != seqs[e.Room] {
			t.Errorf("%s, %s: %s %d %q came after %d", name, e.Room, e.Type, e.Seq, e.Message, seqs[e.Room]-1)
			return
		}
	}
	for room, n := range want {
		if seqs[room] != n {
			t.Errorf("%s has %d messages of %s, want %d", name, seqs[room], room, n)
		}
	}
}

// restartGracefully stops the node with SIGTERM and starts it again.
func (w *fixture) restartGracefully() {
	w.t.Helper()
	if code := w.node.Terminate(patience + 10*time.Second); code != 0 {
		w.t.Fatalf("the node ended with %d", code)
	}
	w.node = program.Start(w.t, w.dir, w.node.Addr, w.env...)
	w.node.Ready()
}
