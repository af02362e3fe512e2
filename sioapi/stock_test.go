package sioapi_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/sioapi"
)

// Clients before 4.5 put everything that waits into one request, which may be larger
// than a message. Where a token is needed, only behind the hello.
func TestBacklogOfOldClients(t *testing.T) {
	for _, noGuests := range []bool{false, true} {
		everyKindFor(t, !noGuests, sioapi.Config{FrameBytes: 1000}, func(w *world, k kind) {
			if k.transport != "polling" {
				return
			}
			auth := `{"token":"` + token(w.T, "ada", time.Hour) + `"}`
			p := w.connect(k, auth)
			if k.version == 4 {
				p.want(`2["hello",`)
			}
			backlog := func(packet string, n int) string {
				if packet = "4" + packet; k.version == 4 {
					return strings.Repeat(packet+"\x1e", n-1) + packet
				}
				return strings.Repeat(strconv.Itoa(len(packet))+":"+packet, n)
			}
			if k.version == 3 && noGuests {
				if answer, status := p.http(http.MethodPost, backlog(`2["typing",{"room":"room1"}]`, 100), nil); status != http.StatusRequestEntityTooLarge || answer != "" {
					w.Errorf("from a stranger: %d %s", status, answer)
				}
				p.say(`2["hello",` + auth + `]`)
			}
			p.say(`21["join",{"room":"room1"}]`)
			p.want(`31[{"type":"ack",`)
			text := strings.Repeat("x", 900)
			if answer, status := p.http(http.MethodPost, backlog(`2["message",{"room":"room1","message":"`+text+`"}]`, 100), nil); status != http.StatusOK {
				w.Fatalf("%d %s", status, answer)
			}
			for range 100 {
				p.want(`2["message",`)
			}
			if _, status := p.http(http.MethodPost, backlog(`2["typing",{"room":"`+text+`"}]`, 1200), nil); status != http.StatusRequestEntityTooLarge {
				w.Errorf("more than a megabyte: %d", status)
			}
			p.want(`2["goodbye",{"type":"goodbye","code":4401,"reason":"too_large",`)
			p.want("1")
		})
	}
}

// Pages load the client from where they are going to connect.
func TestClientIsServed(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	for name, want := range map[string]int{
		"socket.io.js": 200, "socket.io.min.js": 200, "socket.io.esm.min.js": 200, "socket.io.esm.min.js.map": 200, "socket.io.slim.js": 404,
	} {
		p := &peer{world: w, url: w.url + "/socket.io/" + name}
		if body, status := p.http(http.MethodGet, "", nil); status != want || body == "" {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// The session of a connection that is about to end can be taken at every moment, and once.
func TestRecoverAtTheEnd(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	pid, given := make(chan string, 1), make(chan []byte, 1)
	w.handler.AtEnd(sync.OnceFunc(func() {
		session, _ := w.handler.Give(<-pid)
		given <- session
	}))
	s := w.stock("websocket", `"user":"ann"`)
	s.want(`2["hello",`)
	s.join("a")
	w.write("a", "one")
	s.wantEvents("message a one")
	pid <- s.pid
	s.ws.NetConn().Close()
	session := <-given
	if session == nil {
		t.Fatal("there is no session while the connection ends")
	}
	w.settle("the connection has ended", func() bool { return w.metric("roomtide_sioapi_connections") == 0 })
	if again, _ := w.handler.Give(s.pid); again != nil {
		t.Error("given twice")
	}
	w.write("a", "two")
	w.handler.TakeOver(fmt.Appendf(nil, "[%s]", session))
	if s.reconnect(w, "websocket"); !s.recovered {
		t.Fatal("not recovered")
	}
	s.want(`2["hello",`)
	s.wantEvents("message a two", "presence a")
}
