package socketio_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/socketio"
)

func recovering() socketio.Options {
	return socketio.Options{Recovery: socketio.Recovery{Window: 2 * time.Minute}}
}

func TestRecovery(t *testing.T) {
	joined, rec := make(chan *socketio.Socket, 2), record(t)
	w := overTCP(t, recovering(), func(io *socketio.Server) {
		inRoom(joined)(io)
		rec.disconnects(io.Of("/"))
	})
	n := w.io.Of("/")
	m, other := w.member(), w.member()
	first, second := <-joined, <-joined
	if first.ID() != m.sid {
		first, second = second, first
	}
	second.Join("hidden")
	n.To("room").Emit("a", 1)
	m.wantEvents(`["a",1]`)
	m.cut()
	rec.want("transport close")
	n.To("room").Emit("room", []byte{7})
	n.ToID(m.sid).Emit("id")
	n.To("room", "room").ToID(m.sid).Emit("once")
	n.Emit("all")
	n.To("else").Emit("not")
	n.ToID(other.sid).Emit("not")
	n.To("room").Except("room").Emit("not")
	n.To("room").ExceptID(m.sid).Emit("not")
	n.To("room").Volatile().Emit("not")
	n.To("room").Except("hidden").Emit("for all but hidden")
	sid := m.sid
	auth := fmt.Sprintf(`40{"pid":%q,"offset":%q}`, m.pid, m.offset)
	m.peer = w.connect("4")
	m.send(auth)
	for _, want := range []string{`["room",{"_placeholder":true,"num":0}`, "b\x07", `["id"`, `["once"`, `["all"`, `["for all but hidden"`, `{"sid":"` + sid + `","pid":"` + m.pid + `"}`} {
		if got := m.read(); !strings.Contains(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	s := <-joined
	if s == first || !s.Recovered() || s.ID() != sid || fmt.Sprint(s.Rooms()) != "[room]" || s.Data() != "data of "+sid {
		t.Errorf("recovered %v %s %v %v", s.Recovered(), s.ID(), s.Rooms(), s.Data())
	}
	if n.Len() != 2 || n.Socket(sid) != s || w.io.Stats().Recovered != 1 {
		t.Errorf("%d sockets, %+v", n.Len(), w.io.Stats())
	}
	n.To("room").Emit("live")
	m.wantEvents(`["live"]`)
}

// A client that has got no event yet has no offset.
func TestRecoveryBeforeTheFirstEvent(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	w.io.Of("/").Emit("before its time")
	m := w.member()
	<-joined
	m.cut()
	w.io.Of("/").To("room").Emit("a")
	m.wantBack(`["a"]`)
	m.cut()
	m.wantBack() // again, with nothing missed
}

func recoveringWorld(t *testing.T, o socketio.Options) (*world, chan *socketio.Socket) {
	joined := make(chan *socketio.Socket, 100)
	return overTCP(t, o, inRoom(joined)), joined
}

// A client that was quiet while others talked is not behind; one whose events
// are gone is, and must not be treated otherwise.
func TestRecoveryOfQuietClients(t *testing.T) {
	o := recovering()
	o.Recovery.MaxBytes = 1000
	w, joined := recoveringWorld(t, o)
	n := w.io.Of("/")
	m := w.member()
	<-joined
	talk := func(room string) {
		for range 50 {
			n.To(room).Emit("talk", strings.Repeat("x", 50))
		}
	}
	n.To("room").Emit("a")
	m.wantEvents(`["a"]`)
	talk("else")
	m.cut()
	w.waitGone(m.sid)
	n.To("room").Emit("b")
	m.wantBack(`["b"]`)
	<-joined
	for range 50 {
		talk("else")
	}
	m.cut()
	m.wantBack()
	<-joined
	n.To("room").Emit("c") // reaches the client, or not: it does not read it
	m.cut()
	w.waitGone(m.sid)
	talk("else")
	m.wantNew()
}

// Every event moves the offset on, also one that is not repeated; events with
// an ack have none.
func TestRecoveryOffsets(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	s := <-joined
	n.Emit("a", "text")
	m.wantEvents(`["a","text"]`)
	offset := m.offset
	n.All().Volatile().Emit("v", "not an offset")
	m.wantEvents(`["v","not an offset"]`)
	if m.offset != offset {
		t.Errorf("a volatile event moved the offset from %s to %s", offset, m.offset)
	}
	s.Emit("b")
	m.wantEvents(`["b"]`)
	if err := s.EmitAck(0, func(socketio.Message, error) {}, "asked", "x"); err != nil {
		t.Fatal(err)
	}
	m.want(`420["asked","x"]`)
	m.cut()
	w.waitGone(m.sid)
	n.All().Volatile().Emit("v")
	n.Emit("c")
	m.wantBack(`["c"]`)
}

// The old connection may linger: the new one takes over, again and again.
func TestRecoveryTakesOver(t *testing.T) {
	joined, rec := make(chan *socketio.Socket, 10), record(t)
	w := overTCP(t, recovering(), func(io *socketio.Server) {
		inRoom(joined)(io)
		rec.disconnects(io.Of("/"))
	})
	n := w.io.Of("/")
	m := w.member()
	<-joined
	for i := range 3 {
		old := m.peer
		n.To("room").Emit("lost", i) // the old connection gets it, and it is not read there
		m.wantBack(fmt.Sprintf(`["lost",%d]`, i))
		rec.want("transport close")
		if n.Len() != 1 {
			t.Errorf("%d sockets", n.Len())
		}
		old.read()
		old.wantClosed()
	}
	n.To("room").Emit("live")
	m.wantEvents(`["live"]`)
}

// A client that is disconnected again before it has read what it missed gets it again.
func TestRecoveryRepeats(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	<-joined
	n.To("room").Emit("a")
	m.wantEvents(`["a"]`)
	m.cut()
	w.waitGone(m.sid)
	n.To("room").Emit("b")
	for range 2 {
		p := w.connect("4")
		p.send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, m.pid, m.offset))
		if s := <-joined; !s.Recovered() {
			t.Fatal("not recovered")
		}
		p.cut()
		w.waitGone(m.sid)
	}
	n.To("room").Emit("c")
	m.wantBack(`["b"]`, `["c"]`)
}

func TestNotRecovered(t *testing.T) {
	w, _ := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	for name, change := range map[string]func(m *member){
		"client left":            func(m *member) { m.send("41") },
		"server made it leave":   func(m *member) { n.ToID(m.sid).Disconnect(false); m.want("41") },
		"server closed":          func(m *member) { n.ToID(m.sid).Disconnect(true); m.want("41") },
		"client broke the rules": func(m *member) { m.send("4x"); m.wantClosed() },
		"unknown pid":            func(m *member) { m.pid += "x" },
		"offset of the future":   func(m *member) { m.offset = m.offset[:strings.Index(m.offset, ".")] + ".zzzz" },
		"offset that is none":    func(m *member) { m.offset = m.offset[:strings.Index(m.offset, ".")] + ".-1" },
	} {
		t.Run(name, func(t *testing.T) {
			m := w.member()
			m.T = t
			n.ToID(m.sid).Emit("a")
			m.wantEvents(`["a"]`)
			sid := m.sid
			change(m)
			m.cut()
			w.waitGone(sid)
			m.wantNew()
			m.cut() // and the new one can be recovered, with the offset it has from the old one
			w.waitGone(m.sid)
			n.ToID(m.sid).Emit("b")
			if strings.HasPrefix(name, "offset") {
				return // which a client would not have
			}
			m.wantBack(`["b"]`)
		})
	}
	t.Run("in another namespace", func(t *testing.T) {
		w.io.Of("/other") // before a client asks for it
		m := w.member()
		m.send(fmt.Sprintf(`40/other,{"pid":%q}`, m.pid))
		if reply := m.welcomed("40/other,"); reply.PID == m.pid || reply.SID == m.sid {
			t.Error("recovered in another namespace")
		}
		m.cut()
		m.wantBack()
	})
}
