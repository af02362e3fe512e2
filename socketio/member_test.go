package socketio_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/socketio"
)

// member is a client that keeps what stock clients keep for recovery.
type member struct {
	*peer
	w      *world
	sid    string
	pid    string
	offset string
}

// inRoom has all sockets join "room" and puts them into the channel.
func inRoom(joined chan *socketio.Socket) func(io *socketio.Server) {
	return func(io *socketio.Server) {
		io.Of("/").OnConnect(func(s *socketio.Socket) {
			if !s.Recovered() {
				s.Join("room")
				s.SetData("data of " + s.ID())
			}
			joined <- s
		})
	}
}

func (w *world) member() *member {
	w.Helper()
	m := &member{w: w}
	var reply welcome
	m.peer, reply = w.join("40")
	m.sid, m.pid = reply.SID, reply.PID
	if m.pid == "" || m.pid == m.sid {
		w.Fatalf("CONNECT without a pid: %+v", reply)
	}
	return m
}

// event reads an event, keeps its offset, and returns it without.
func (m *member) event() string {
	m.Helper()
	return m.note(m.read())
}

func (m *member) note(text string) string {
	m.Helper()
	body, ok := strings.CutPrefix(text, "42")
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(body), &args); !ok || err != nil || len(args) < 2 {
		m.Fatalf("%s is no event with an offset", text)
	}
	last := args[len(args)-1]
	if err := json.Unmarshal(last, &m.offset); err != nil {
		m.Fatalf("the offset of %s is no string", text)
	}
	return strings.TrimSuffix(body, ","+string(last)+"]") + "]"
}

func (m *member) wantEvents(events ...string) {
	m.Helper()
	for _, want := range events {
		if got := m.event(); got != want {
			m.Fatalf("event %s, want %s", got, want)
		}
	}
}

// back connects again. It returns what came before the CONNECT, and whether the
// client is recovered as stock clients see it.
func (m *member) back() (missed []string, recovered bool) {
	m.Helper()
	auth, err := json.Marshal(map[string]string{"pid": m.pid, "offset": m.offset})
	if m.offset == "" {
		auth, err = json.Marshal(map[string]string{"pid": m.pid})
	}
	if err != nil {
		m.Fatal(err)
	}
	m.peer = m.w.connect("4")
	m.send("40" + string(auth))
	for {
		text := m.read()
		if rest, ok := strings.CutPrefix(text, "40"); ok {
			var reply welcome
			if err := json.Unmarshal([]byte(rest), &reply); err != nil {
				m.Fatal(err)
			}
			recovered = reply.PID == m.pid
			m.sid, m.pid = reply.SID, reply.PID
			return missed, recovered
		}
		missed = append(missed, m.note(text))
	}
}

func (m *member) wantBack(missed ...string) {
	m.Helper()
	sid := m.sid
	got, recovered := m.back()
	if !recovered || m.sid != sid || fmt.Sprint(got) != fmt.Sprint(missed) {
		m.Fatalf("recovered %v as %s (was %s) and missed %v, want %v", recovered, m.sid, sid, got, missed)
	}
}

func (m *member) wantNew() {
	m.Helper()
	sid := m.sid
	missed, recovered := m.back()
	if recovered || len(missed) > 0 {
		m.Fatalf("recovered %v as %s (was %s) with %v", recovered, m.sid, sid, missed)
	}
}
