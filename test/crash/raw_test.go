package crash

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// rawWatcher is a client of the native protocol that forgives nothing: what the Go client
// would mend or hide (a change it has already, one that is missing, an event in a room
// that it was put out of) is a failure here.
type rawWatcher struct {
	w    *workload
	name string

	ws    *websocket.Conn
	last  []string // frames, to be shown beside a failure
	ids   int64
	rooms map[chat.RoomID]*rawRoom
}

type rawRoom struct {
	id     chat.RoomID
	rev    chat.Rev // everything up to here has come
	shown  chat.Seq
	join   int64    // the number of the join under way, 0: none
	after  chat.Rev // of that join
	page   map[chat.Seq]*chat.Message
	sent   int64 // the number of the message that was sent while out
	out    bool  // was put out, and has not asked to join again
	outAt  time.Time
	outRev chat.Rev
}

// out is how long a user that was put out of a room listens before it joins again.
const out = 100 * time.Millisecond

// watchRaw goes on over connections until the end has come.
func (w *workload) watchRaw(name string) {
	r := &rawWatcher{w: w, name: name, rooms: map[chat.RoomID]*rawRoom{}}
	for _, id := range rooms {
		r.rooms[id] = &rawRoom{id: id}
	}
	for !r.ended() {
		if err := r.connect(); err != nil {
			<-time.After(20 * time.Millisecond) // the node may be down for now
			continue
		}
		r.read()
		r.ws.Close()
	}
}

func (r *rawWatcher) ended() bool {
	end := r.w.end.Load()
	if end == nil {
		return r.w.t.Failed() && closed(r.w.stop)
	}
	shown := map[chat.RoomID]chat.Seq{}
	for id, room := range r.rooms {
		shown[id] = room.shown
	}
	return reached(shown, *end)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (r *rawWatcher) connect() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if r.ws, err = websocket.Dial(ctx, "ws://"+r.w.addr+"/ws", nil); err != nil {
		return err
	}
	if err = r.command(&wire.Command{Type: wire.Hello, User: chat.UserID(r.name)}); err != nil {
		return err
	}
	for _, room := range r.rooms {
		room.out = false
		r.joinAfter(room)
	}
	return nil
}

func (r *rawWatcher) command(cmd *wire.Command) error {
	r.ids++
	cmd.ID, cmd.HasID = r.ids, true
	p := wire.AppendCommand(nil, cmd)
	r.note("> " + string(p))
	return r.ws.WriteMessage(websocket.Text, p)
}

// note keeps a frame.
func (r *rawWatcher) note(frame string) {
	const most = 60
	if r.last = append(r.last, frame[:min(len(frame), 400)]); len(r.last) > most {
		r.last = r.last[1:]
	}
}

// accuse fails the test, with what the client has sent and received.
func (r *rawWatcher) accuse(format string, args ...any) {
	r.w.t.Errorf("%s %s\n%s", r.name, fmt.Sprintf(format, args...), strings.Join(r.last, "\n"))
}

// joinAfter asks for what has changed behind what has come.
func (r *rawWatcher) joinAfter(room *rawRoom) {
	room.after, room.page = room.rev, map[chat.Seq]*chat.Message{}
	r.nextPage(room)
}

func (r *rawWatcher) nextPage(room *rawRoom) {
	// A connection that has ended is noticed by read.
	_ = r.command(&wire.Command{Type: wire.Join, Room: room.id, After: int64(room.after), HasAfter: true})
	room.join = r.ids
}

// read handles frames until the connection ends, is silent for too long, or the end has
// come.
func (r *rawWatcher) read() {
	for !r.ended() {
		// A node that hangs does not answer: another one is tried then.
		if err := r.ws.NetConn().SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return
		}
		op, p, err := r.ws.ReadMessage(1 << 20)
		switch {
		case err != nil:
			return
		case op == websocket.Ping:
			_ = r.ws.WriteMessage(websocket.Pong, p)
			continue
		case op != websocket.Text:
			continue
		}
		r.note("< " + string(p))
		f, err := wire.DecodeServer(p)
		if err != nil {
			r.w.t.Errorf("%s: %v: %s", r.name, err, p)
			return
		}
		if f.Goodbye != nil {
			return
		}
		r.handle(f)
		r.comeBack()
	}
}

func (r *rawWatcher) handle(f *wire.ServerFrame) {
	if f.Type == "ack" || f.Type == "error" {
		for _, room := range r.rooms {
			switch {
			case !f.HasID:
			case room.join == f.ID:
				r.joined(room, f)
			case room.sent == f.ID && f.Err == nil:
				r.accuse("was put out of %s, and its message is taken", room.id)
			}
		}
		return
	}
	id := f.Room
	if f.Event != nil {
		id = f.Event.Room
	}
	room := r.rooms[id]
	switch {
	case room == nil:
	case f.Type == "gap" && !room.out:
		r.joinAfter(room)
	case f.Event != nil && f.Event.Kind.Durable():
		r.happened(room, f.Event)
	}
}

// joined handles a page of what has changed.
func (r *rawWatcher) joined(room *rawRoom, f *wire.ServerFrame) {
	room.join = 0
	if f.Err != nil {
		if !f.Err.Kind.Retryable() && f.Err.Kind != chat.NotMember { // put out meanwhile
			r.w.t.Errorf("%s joins %s: %v", r.name, room.id, f.Err)
		}
		<-time.After(20 * time.Millisecond)
		r.joinAfter(room)
		return
	}
	if f.Reset {
		r.w.t.Errorf("%s in %s: the history is another one", r.name, room.id)
	}
	for i := range f.Messages {
		m := &f.Messages[i]
		if m.Rev <= room.after {
			r.accuse("asks %s for what came after rev %d, and gets message %d of rev %d", room.id, room.after, m.Seq, m.Rev)
		}
		room.page[m.Seq] = m
	}
	if room.after = f.Rev; f.Partial {
		r.nextPage(room)
		return
	}
	r.w.rec.Resume(r.name, room.id, room.shown)
	for seq := room.shown + 1; room.page[seq] != nil; seq++ {
		r.w.rec.Deliver(r.name, room.page[seq])
		room.shown = seq
		delete(room.page, seq)
	}
	for seq, m := range room.page {
		if seq > room.shown {
			r.accuse("joins %s after rev %d: message %d is missing, and %d is there", room.id, room.rev, room.shown+1, m.Seq)
		}
	}
	room.rev, room.page = f.Rev, nil
}

// happened handles a live event, which is the next one.
func (r *rawWatcher) happened(room *rawRoom, ev *chat.Event) {
	switch {
	case room.out:
		if ev.Rev > room.outRev {
			r.accuse("was put out of %s at rev %d, and gets the event of rev %d", room.id, room.outRev, ev.Rev)
		}
		return
	case room.join != 0: // its answer brings it, or comes before what it does not bring
		return
	case ev.Member != nil && ev.Member.User == chat.UserID(r.name) && !ev.Member.Role.Present():
		// What was not written before is not any more: it is asked for with the next join.
		room.out, room.outAt, room.outRev = true, time.Now(), ev.Rev
		r.w.putOut.Add(1)
		r.sendOut(room)
		return
	case ev.After() != room.rev:
		r.accuse("has %s up to rev %d, and gets the event of rev %d after %d", room.id, room.rev, ev.Rev, ev.After())
		r.joinAfter(room)
		return
	}
	room.rev = ev.Rev
	if ev.Kind == chat.EventMessage {
		ev.Message.Created = ev.Rev
		r.w.rec.Deliver(r.name, ev.Message)
		room.shown = ev.Message.Seq
	}
}

// sendOut sends to a room that this user is out of, which is refused. Without an answer
// it may be decided later, when the user is in the room again.
func (r *rawWatcher) sendOut(room *rawRoom) {
	key := fmt.Sprint(r.name, " out ", r.w.putOut.Load(), " ", r.ids)
	r.w.rec.Send("", room.id, chat.UserID(r.name), key, "out")
	// A connection that has ended is noticed by read.
	_ = r.command(&wire.Command{Type: wire.Message, Room: room.id, Text: "out", HasText: true, Key: key})
	room.sent = r.ids
}

// comeBack joins rooms again that this user was put out of.
func (r *rawWatcher) comeBack() {
	for _, room := range r.rooms {
		if room.out && time.Since(room.outAt) > out {
			room.out = false
			r.joinAfter(room)
		}
	}
}

// putUsersOut has the owner of the rooms put the raw watchers out of them, now and then,
// until stop.
func (w *workload) putUsersOut(owner string) {
	r := &rawWatcher{w: w, name: owner, rooms: map[chat.RoomID]*rawRoom{}}
	for n := 0; !closed(w.stop); {
		if err := r.connect(); err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		for !closed(w.stop) {
			none := wire.Command{Type: wire.SetMember, Room: rooms[n%len(rooms)], Member: chat.UserID(fmt.Sprint(w.as, "raw", n%rawWatchers)), HasRole: true}
			if r.command(&none) != nil || !r.answered() {
				break
			}
			n++
			<-time.After(150 * time.Millisecond)
		}
		r.ws.Close()
	}
}

// answered waits for the answer to the last command, and reports whether there was one
// that settles it.
func (r *rawWatcher) answered() bool {
	for {
		if err := r.ws.NetConn().SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return false
		}
		_, p, err := r.ws.ReadMessage(1 << 20)
		if err != nil {
			return false
		}
		f, err := wire.DecodeServer(p)
		if err == nil && f.HasID && f.ID == r.ids {
			if f.Err != nil && !f.Err.Kind.Retryable() && f.Err.Kind != chat.NotMember {
				r.w.t.Errorf("%s puts a user out: %v", r.name, f.Err)
			}
			return f.Err == nil || f.Err.Kind == chat.NotMember
		}
	}
}
