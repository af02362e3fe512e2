package sioapi_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/sioapi"
)

// stock does what the library of a stock client does to resume.
type stock struct {
	*peer
	auth             string // members of auth
	sid, pid, offset string
	recovered        bool
}

// stock connects a client with the members of an auth.
func (w *world) stock(transport, auth string) *stock {
	w.Helper()
	s := &stock{auth: auth}
	s.reconnect(w, transport)
	return s
}

// reconnect connects the client again, over another connection.
func (s *stock) reconnect(w *world, transport string) {
	w.Helper()
	s.peer, _ = w.dial(kind{transport, 4}, http.Header{"User-Agent": {"Mozilla/5.0"}})
	auth := s.auth
	if s.pid != "" {
		auth = fmt.Sprintf(`"pid":%q,"offset":%q`, s.pid, s.offset)
		if s.auth != "" {
			auth += "," + s.auth
		}
	}
	s.say("0{" + auth + "}")
	var c struct{ SID, PID string }
	if err := json.Unmarshal([]byte(s.want("0{")[1:]), &c); err != nil || c.PID == "" {
		w.Fatalf("%+v %v", c, err)
	}
	s.recovered = s.pid == c.PID
	s.sid, s.pid = c.SID, c.PID
}

// event returns the next event: its name and its object.
func (s *stock) event() (name string, v struct {
	Room, Message, User, Role string
	Seq, Rev, Online          int64
}) {
	s.Helper()
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(s.want("2[")[1:]), &args); err != nil {
		s.Fatal(err)
	}
	json.Unmarshal(args[0], &name)
	if err := json.Unmarshal(args[1], &v); err != nil {
		s.Fatal(err)
	}
	if len(args) > 2 {
		json.Unmarshal(args[len(args)-1], &s.offset)
	}
	return name, v
}

// wantEvents expects events, as "name room text".
func (s *stock) wantEvents(want ...string) {
	s.Helper()
	for _, w := range want {
		name, v := s.event()
		got := name + " " + v.Room
		for _, more := range []string{v.Message, v.Role} {
			if more != "" {
				got += " " + more
			}
		}
		if got != w {
			s.Fatalf("got %q, want %q", got, w)
		}
	}
}

func (s *stock) join(room string) {
	s.Helper()
	s.say(fmt.Sprintf(`29["join",{"room":%q}]`, room))
	s.want(`39[{"type":"ack",`)
}

func (s *stock) cut() {
	s.Helper()
	before := s.metric("roomtide_sioapi_resumable")
	s.ws.NetConn().Close()
	s.settle("a session is resumable", func() bool { return s.metric("roomtide_sioapi_resumable") > before })
}

// Clients that do not resume by themselves get no offsets: in some languages the
// handler of an event fails when it is called with one more argument.
func TestOnlyWhoResumesGetsOffsets(t *testing.T) {
	browser := http.Header{"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"}}
	polls := http.Header{"User-Agent": {"node-XMLHttpRequest"}}
	script := http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}}
	python := http.Header{"User-Agent": {"python-requests/2.28.1"}}
	const auto, on, off = sioapi.RecoveryAuto, sioapi.RecoveryOn, sioapi.RecoveryOff
	for _, tt := range []struct {
		setting string
		header  http.Header
		auth    string
		want    bool
	}{
		{auto, browser, "", true}, {auto, polls, "", true}, {auto, script, "", true}, {auto, python, "", false}, {auto, nil, "", false},
		{auto, browser, `,"recovery":false`, false}, {auto, python, `,"recovery":true`, true}, {auto, python, `,"recovery":1`, false},
		{on, python, "", true}, {on, python, `,"recovery":false`, false},
		{off, browser, "", false}, {off, browser, `,"recovery":true`, true},
	} {
		for _, transport := range []string{"websocket", "polling"} {
			if transport == "polling" && len(tt.header["Sec-Websocket-Extensions"]) > 0 {
				continue
			}
			w := newWorld(t, sioapi.Config{Recovery: tt.setting})
			p, status := w.dial(kind{transport, 4}, tt.header.Clone())
			if p == nil {
				t.Fatal(status)
			}
			p.say(`0{"user":"ann"` + tt.auth + `}`)
			if got := strings.Contains(p.want("0{"), `"pid":`); got != tt.want {
				t.Errorf("%+v over %s: can resume %v", tt, transport, got)
			}
			p.want(`2["hello",`)
			p.say(`21["join",{"room":"a"}]`)
			p.want(`31[`)
			w.write("a", "text")
			if got := strings.HasSuffix(p.want(`2["message",`), `"]`); got != tt.want {
				t.Errorf("%+v over %s: an offset %v", tt, transport, got)
			}
		}
	}
}

// A client that was disconnected resumes its session, with everything it missed.
func TestRecover(t *testing.T) {
	for _, linger := range []bool{false, true} {
		for _, transport := range []string{"websocket", "polling"} {
			if transport == "polling" && !linger {
				continue // a polling client has no connection to cut
			}
			t.Run(fmt.Sprintf("%s, lingers %v", transport, linger), func(t *testing.T) {
				w := newWorld(t, sioapi.Config{})
				s := w.stock(transport, `"user":"ann"`)
				s.want(`2["hello",`)
				for _, room := range []string{"a", "b", `odd "room" & <name>`} {
					s.join(room)
				}
				w.write("a", "a1")
				s.wantEvents("message a a1")
				w.write("b", "b1")
				s.wantEvents("message b b1")
				sid := s.sid
				old := s.peer
				if !linger {
					s.cut()
				}
				w.write("a", "a2")
				w.write(`odd "room" & <name>`, "odd")
				w.write("b", "b2")
				if _, err := w.deps.Engine.Do(t.Context(), engine.Actor{User: "host", Server: true}, &change.Edit{Room: "a", Seq: 1, Text: "a1 again"}); err != nil {
					t.Fatal(err)
				}
				s.reconnect(w, transport)
				if !s.recovered || s.sid != sid {
					t.Fatalf("recovered %v, id %s, was %s", s.recovered, s.sid, sid)
				}
				s.want(`2["hello",`)
				s.wantEvents("message a a2", "edited a a1 again", "presence a", "message b b2", "presence b",
					`message odd "room" & <name> odd`, `presence odd "room" & <name>`)
				w.write("a", "a3")
				s.wantEvents("message a a3")
				if linger { // the old connection ends, with no more room events than before
					for p := ""; ; {
						if p = old.next(); p == "" {
							break
						} else if strings.Contains(p, "a3") {
							t.Error("the old connection goes on")
						}
					}
				}
				if n := w.metric("roomtide_sioapi_recovered_total"); n != 1 {
					t.Errorf("%v recovered", n)
				}
			})
		}
	}
}

// However much was missed, and although nothing was received before.
func TestRecoverMuch(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	s := w.stock("websocket", `"user":"ann"`)
	s.want(`2["hello",`)
	s.join("a")
	s.join("b")
	s.cut()
	const n = 1010 // more than two pages
	for i := range n {
		w.write("a", fmt.Sprint("a", i))
	}
	w.write("b", "b1")
	for range 3 { // also when the connection ends again in the middle
		s.reconnect(w, "websocket")
		if !s.recovered {
			t.Fatal("not recovered")
		}
		s.want(`2["hello",`)
		s.wantEvents("message a a0")
		s.offset = ""
		s.cut()
	}
	s.reconnect(w, "websocket")
	s.want(`2["hello",`)
	for i := range n {
		s.wantEvents(fmt.Sprint("message a a", i))
	}
	s.wantEvents("presence a", "message b b1", "presence b")
	for i := range 2 {
		s.cut()
		s.reconnect(w, "websocket")
		s.want(`2["hello",`)
		s.wantEvents("presence a", "presence b")
		w.write("b", fmt.Sprint("live ", i))
		s.wantEvents(fmt.Sprint("message b live ", i))
	}
}

// A guest without a name keeps the one it got.
func TestRecoverGuest(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	s := w.stock("websocket", "")
	s.join("a")
	w.write("a", "one")
	s.wantEvents("message a one")
	s.say(`21["message",{"room":"a","message":"two"}]`)
	s.want(`31[`)
	_, before := s.event()
	s.cut()
	s.reconnect(w, "websocket")
	s.want(`2["hello",{"type":"ack","user":"` + before.User + `"`)
	s.wantEvents("presence a")
	s.say(`21["message",{"room":"a","message":"three"}]`)
	s.want(`31[`)
	if _, after := s.event(); !s.recovered || after.User != before.User || before.User == "" {
		t.Errorf("recovered %v, was %s, is %s", s.recovered, before.User, after.User)
	}
}

// A session is resumed by its own user only.
func TestRecoverIdentity(t *testing.T) {
	w := newWorld(t, sioapi.Config{NoGuests: true})
	as := func(user chat.UserID) string { return fmt.Sprintf(`"token":%q`, token(t, user, time.Hour)) }
	s := w.stock("websocket", as("ann"))
	s.want(`2["hello",`)
	s.cut()

	t.Run("another user", func(t *testing.T) {
		other := *s
		other.auth = as("bob")
		other.reconnect(w, "websocket")
		if other.recovered {
			t.Error("recovered")
		}
	})
	t.Run("without a token", func(t *testing.T) {
		p, _ := w.dial(kind{"websocket", 4}, nil)
		p.say(fmt.Sprintf(`0{"pid":%q}`, s.pid))
		p.want(`4{"message":`)
	})
	t.Run("a secret that is none", func(t *testing.T) {
		for _, pid := range []string{"x", s.sid, s.sid + ".", s.pid[:len(s.pid)-1], s.pid + "A", "." + s.pid} {
			other := *s
			other.pid = pid
			other.reconnect(w, "websocket")
			if other.recovered {
				t.Errorf("recovered with %q", pid)
			}
		}
	})
	t.Run("an offset that is none", func(t *testing.T) {
		for _, offset := range []string{"", "x", "7", "-1 a", "99999999999999999999 a", "7 nowhere"} {
			s.offset = offset
			if s.reconnect(w, "websocket"); !s.recovered {
				t.Errorf("not recovered with %q", offset)
			}
			s.want(`2["hello",`)
			s.cut()
		}
	})
	t.Run("left the namespace", func(t *testing.T) {
		s.reconnect(w, "websocket")
		s.say("1")
		s.want(`2["hello",`)
		s.want("")
		if s.reconnect(w, "websocket"); s.recovered {
			t.Error("recovered")
		}
	})
}

// A member that was removed from a room meanwhile gets that event, once, and is not
// in the room any more.
func TestRecoverRemoved(t *testing.T) {
	w := newWorld(t, sioapi.Config{})
	s := w.stock("websocket", `"user":"ann"`)
	s.want(`2["hello",`)
	s.join("a")
	s.join("b")
	w.write("a", "one")
	s.wantEvents("message a one")
	s.cut()
	if _, err := w.deps.Engine.Do(t.Context(), engine.Actor{User: "ann"}, &change.Leave{Room: "a"}); err != nil {
		t.Fatal(err)
	}
	w.write("a", "two")
	w.write("b", "three")
	for range 2 { // and does not get it again
		if s.reconnect(w, "websocket"); !s.recovered {
			t.Fatal("not recovered")
		}
		s.want(`2["hello",`)
		if s.offset != "" && strings.HasSuffix(s.offset, " a") {
			s.wantEvents("member a none", "message b three", "presence b")
		} else {
			s.wantEvents("presence b")
		}
		s.cut()
	}
}

// Sessions survive a restart in a file.
func TestRecoverFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resume.json")
	w := newWorld(t, sioapi.Config{Secret: secret, ResumeFile: path})
	s := w.stock("websocket", `"user":"ann"`)
	s.want(`2["hello",`)
	s.join("a")
	w.write("a", "one")
	s.wantEvents("message a one")
	closed := make(chan struct{})
	go func() { defer close(closed); w.handler.Close() }()
	s.want("")
	s.ws.Close()
	<-closed
	w.write("a", "two")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.listen(sioapi.Config{Secret: secret, ResumeFile: path}, ln)
	if s.reconnect(w, "websocket"); !s.recovered {
		t.Fatal("not recovered")
	}
	s.want(`2["hello",`)
	s.wantEvents("message a two", "presence a")
}
