package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

func recovering() socketio.Options {
	return socketio.Options{Recovery: socketio.Recovery{Window: 2 * time.Minute}}
}

// member is a client that keeps what stock clients keep for recovery.
type member struct {
	*peer
	w      *world
	sid    string
	pid    string
	offset string
}

// inRoom lets everybody join "room" and puts who joined into the channel.
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
	n.To("room").Except("hidden").Emit("for those who see nothing hidden")
	sid := m.sid
	auth := fmt.Sprintf(`40{"pid":%q,"offset":%q}`, m.pid, m.offset)
	m.peer = w.connect("4")
	m.send(auth)
	for _, want := range []string{`["room",{"_placeholder":true,"num":0}`, "b\x07", `["id"`, `["once"`, `["all"`, `["for those who see nothing hidden"`, `{"sid":"` + sid + `","pid":"` + m.pid + `"}`} {
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
// are gone is, and must not be told otherwise.
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
		n.To("room").Emit("lost", i) // the old connection gets it and nobody reads it there
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
		w.io.Of("/other") // before anybody asks for it
		m := w.member()
		m.send(fmt.Sprintf(`40/other,{"pid":%q}`, m.pid))
		if reply := m.welcomed("40/other,"); reply.PID == m.pid || reply.SID == m.sid {
			t.Error("recovered in another namespace")
		}
		m.cut()
		m.wantBack()
	})
}

// An offset of another server means nothing, whatever number it holds.
func TestRecoveryWithAnOffsetOfAnotherServer(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	m := w.member()
	<-joined
	m.offset = "elsewhere.1"
	w.io.Of("/").To("room").Emit("a") // nobody reads it
	m.cut()
	m.wantBack(`["a"]`)
}

// What was said in a room before the client was in it is not for it.
func TestRecoveryOfRoomsJoinedLater(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	s := <-joined
	n.To("secret").Emit("before")
	s.Join("secret")
	n.To("secret").Emit("after")
	s.Leave("room")
	n.To("room").Emit("after it left")
	m.cut()
	m.wantBack(`["after"]`)
}

func TestRecoveryWindow(t *testing.T) {
	inBubble(t, recovering(), func(io *socketio.Server) { inRoom(make(chan *socketio.Socket, 10))(io) }, func(w *world) {
		n := w.io.Of("/")
		m := w.member()
		m.cut()
		time.Sleep(119 * time.Second) // the clock of the bubble
		n.To("room").Emit("a")
		m.wantBack(`["a"]`)
		m.cut()
		time.Sleep(121 * time.Second)
		m.wantNew()
		m.cut()
	})
}

func TestRecoveryBounds(t *testing.T) {
	o := recovering()
	o.Recovery.MaxSessions = 2
	w, _ := recoveringWorld(t, o)
	list := []*member{w.member(), w.member(), w.member()}
	for _, m := range list {
		m.cut()
		w.waitGone(m.sid)
	}
	list[0].wantNew()
	list[1].wantBack()
	list[2].wantBack()

	// More than a connection takes at once is not repeated.
	o = recovering()
	o.Engine = engineio.Options{MaxQueued: 10_000}
	w, _ = recoveringWorld(t, o)
	m := w.member()
	m.cut()
	w.waitGone(m.sid)
	for range 20 {
		w.io.Of("/").Emit("a", strings.Repeat("x", 1000))
	}
	m.wantNew()
	w.io.Of("/").Emit("b")
	m.wantEvents(`["b"]`)
}

// The middleware is asked again, unless the program does not want that.
func TestRecoveryAndMiddleware(t *testing.T) {
	for _, skip := range []bool{false, true} {
		o := recovering()
		o.Recovery.SkipMiddleware = skip
		var asked atomic.Int32
		w := overTCP(t, o, func(io *socketio.Server) {
			io.Of("/").Use(func(s *socketio.Socket) error {
				n := asked.Add(1)
				s.SetData(int(n))
				if n == 3 {
					return errors.New("banned")
				}
				return nil
			})
		})
		m := w.member()
		m.cut()
		m.wantBack()
		s := w.io.Of("/").Socket(m.sid)
		if skip {
			if asked.Load() != 1 || s.Data() != 1 {
				t.Errorf("asked %d times, %v", asked.Load(), s.Data())
			}
			continue
		}
		if asked.Load() != 2 || s.Data() != 2 {
			t.Errorf("asked %d times, %v", asked.Load(), s.Data())
		}
		m.cut()
		w.waitGone(m.sid)
		m.peer = w.connect("4")
		m.send(fmt.Sprintf(`40{"pid":%q}`, m.pid))
		m.want(`44{"message":"banned"}`)
		m.wantNew()
	}
}

// A connection that ends while the middleware decides does not use the session up.
func TestRecoveryOfARecoveryCutShort(t *testing.T) {
	var asked atomic.Int32
	inBubble(t, recovering(), func(io *socketio.Server) {
		io.Of("/").Use(func(s *socketio.Socket) error {
			if asked.Add(1) == 2 {
				time.Sleep(50 * time.Second) // longer than a client may take to join
			}
			return nil
		})
	}, func(w *world) {
		m := w.member()
		m.cut()
		cut := w.connect("4")
		cut.send(fmt.Sprintf(`40{"pid":%q}`, m.pid))
		cut.ws.NetConn().SetReadDeadline(time.Time{})
		for {
			if _, _, err := cut.ws.ReadMessage(1000); err != nil {
				break
			}
		}
		cut.cut()
		time.Sleep(10 * time.Second)
		m.wantBack()
		m.cut()
	})
}

// Clients 1 and 2 know nothing of it.
func TestRecoveryAndProtocol4(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	p := w.connect("3")
	p.want("40")
	<-joined
	w.io.Of("/").To("room").Emit("a", 1)
	p.want(`42["a",1]`)
}

// Whatever happens to its connection, a client gets everything once and in order.
func TestRecoveryLosesNothing(t *testing.T) {
	w, joined := recoveringWorld(t, recovering())
	n := w.io.Of("/")
	m := w.member()
	s := <-joined
	const events = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range events {
			switch i % 3 {
			case 0:
				n.To("room").Emit("n", i)
			case 1:
				n.ToID(s.ID()).Emit("n", i)
			default:
				n.Emit("n", i)
			}
			n.To("else").Emit("noise")
			n.To("room").Volatile().Emit("v")
		}
	}()
	next, cuts := 0, 0
	take := func(event string) {
		if event == `["v"]` {
			return
		}
		if want := fmt.Sprintf(`["n",%d]`, next); event != want {
			t.Fatalf("got %s, want %s after %d cuts", event, want, cuts)
		}
		next++
	}
	for next < events {
		for range 20 + next%37 {
			if next < events {
				take(m.event())
			}
		}
		if next%2 == 0 {
			m.cut() // otherwise the old connection lingers
		}
		missed, recovered := m.back()
		if cuts++; !recovered {
			t.Fatalf("not recovered after %d cuts", cuts)
		}
		for _, event := range missed {
			take(event)
		}
		<-joined
	}
	<-done
	if cuts < 5 {
		t.Errorf("only %d cuts", cuts)
	}
}
