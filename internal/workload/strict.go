package workload

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// strictWatchers is the number of strict watchers of a protocol.
const strictWatchers = 2

// strictWatcher is a client that forgives nothing: what the Go client would mend or hide (a
// change it has already, one that is missing, an event in a room that it was put out of)
// is a failure here.
type strictWatcher struct {
	w        *Workload
	name     string
	socketio bool

	frames *frames
	rooms  map[chat.RoomID]*strictRoom
}

type strictRoom struct {
	id    chat.RoomID
	rev   chat.Rev // everything up to here has come
	shown chat.Seq
	join  int64    // the number of the join under way, 0: none
	after chat.Rev // of that join
	page  map[chat.Seq]*chat.Message
	sent  int64 // the number of the message that was sent while out
	out   bool  // was put out, and has not asked to join again
	outAt time.Time
	// unsettled is when the last connection ended that had a join without an answer, or a join was
	// answered with a refusal that may be repeated. That join may wait on its node, or in the queue, and
	// make the user a member again. And if an owner died with what came of both, the message, which was
	// refused before the join, is decided anew behind it: a refusal leaves nothing to be found by its key.
	unsettled time.Time
	outRev    chat.Rev
}

// out is how long a user that was put out of a room listens before it joins again.
const out = 100 * time.Millisecond

// watchStrictly goes on over connections until the end has come.
func (w *Workload) watchStrictly(name string, socketio bool) {
	r := &strictWatcher{w: w, name: name, socketio: socketio, rooms: map[chat.RoomID]*strictRoom{}}
	for _, id := range w.Rooms {
		r.rooms[id] = &strictRoom{id: id}
	}
	for !r.ended() {
		if err := r.connect(); err != nil {
			<-time.After(20 * time.Millisecond) // the node may be down for now
			continue
		}
		r.read()
		r.frames.close()
	}
}

func (r *strictWatcher) ended() bool {
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

func (r *strictWatcher) connect() (err error) {
	if r.frames, err = dialFrames(r.w.o.Addr, r.name, r.socketio); err != nil {
		return err
	}
	for _, room := range r.rooms {
		if room.join != 0 {
			room.unsettled = time.Now()
		}
		room.out, room.sent = false, 0
		r.joinAfter(room)
	}
	return nil
}

// accuse fails the test, with what the client has sent and received.
func (r *strictWatcher) accuse(format string, args ...any) {
	r.w.fail("%s %s\n%s", r.name, fmt.Sprintf(format, args...), strings.Join(r.frames.last, "\n"))
}

// joinAfter asks for what has changed behind what has come.
func (r *strictWatcher) joinAfter(room *strictRoom) {
	room.after, room.page = room.rev, map[chat.Seq]*chat.Message{}
	r.nextPage(room)
}

func (r *strictWatcher) nextPage(room *strictRoom) {
	// A connection that has ended is noticed by read.
	room.join, _ = r.frames.say(&wire.Command{Type: wire.Join, Room: room.id, After: int64(room.after), HasAfter: true})
}

// read handles frames until the connection ends, is silent for too long, or the end has
// come.
func (r *strictWatcher) read() {
	for !r.ended() {
		// A node that hangs does not answer: another one is tried then.
		f, err := r.frames.hear(2 * time.Second)
		var bad *badFrame
		switch {
		case errors.As(err, &bad):
			r.w.fail("%s: %v", r.name, err)
			return
		case err != nil || f.Goodbye != nil:
			return
		}
		r.handle(f)
		r.comeBack()
	}
}

func (r *strictWatcher) handle(f *wire.ServerFrame) {
	if f.Type == "ack" || f.Type == "error" {
		for _, room := range r.rooms {
			switch {
			case !f.HasID:
			case room.join == f.ID:
				r.joined(room, f)
			case room.sent == f.ID && f.Err == nil && time.Since(room.unsettled) > r.w.o.Settles:
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
func (r *strictWatcher) joined(room *strictRoom, f *wire.ServerFrame) {
	room.join = 0
	if f.Err != nil {
		if !f.Err.Kind.Retryable() && f.Err.Kind != chat.NotMember { // put out meanwhile
			r.w.fail("%s joins %s: %v", r.name, room.id, f.Err)
		}
		room.unsettled = time.Now()
		<-time.After(20 * time.Millisecond)
		r.joinAfter(room)
		return
	}
	if f.Reset {
		r.w.fail("%s in %s: the history is another one", r.name, room.id)
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
	r.w.Rec.Resume(r.name, room.id, room.shown)
	for seq := room.shown + 1; room.page[seq] != nil; seq++ {
		r.w.Rec.Deliver(r.name, room.page[seq])
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
func (r *strictWatcher) happened(room *strictRoom, ev *chat.Event) {
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
		r.w.Rec.Deliver(r.name, ev.Message)
		room.shown = ev.Message.Seq
	}
}

// sendOut sends to a room that this user is out of, which is refused. Without an answer
// it may be decided later, when the user is in the room again.
func (r *strictWatcher) sendOut(room *strictRoom) {
	key := fmt.Sprint(r.name, " out ", r.w.putOut.Load(), " ", r.frames.ids)
	r.w.Rec.Send("", room.id, chat.UserID(r.name), key, "out")
	// A connection that has ended is noticed by read.
	room.sent, _ = r.frames.say(&wire.Command{Type: wire.Message, Room: room.id, Text: "out", HasText: true, Key: key})
}

// comeBack joins rooms again that this user was put out of.
func (r *strictWatcher) comeBack() {
	for _, room := range r.rooms {
		if room.out && time.Since(room.outAt) > out {
			room.out = false
			r.joinAfter(room)
		}
	}
}

// putUsersOut has the owner of the rooms put the raw watchers out of them, now and then,
// until stop.
func (w *Workload) putUsersOut(owner string) {
	users := w.strictWatchers()
	for n := 0; !closed(w.stop); {
		f, err := dialFrames(w.o.Addr, owner, false)
		if err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		for !closed(w.stop) {
			none := wire.Command{Type: wire.SetMember, Room: w.Rooms[n%len(w.Rooms)], Member: chat.UserID(users[n%len(users)]), HasRole: true}
			id, err := f.say(&none)
			if err != nil || !w.answered(f, id) {
				break
			}
			n++
			<-time.After(150 * time.Millisecond)
		}
		f.close()
	}
}

// answered waits for the answer to a command that puts a user out, and reports whether
// there was one that settles it.
func (w *Workload) answered(f *frames, id int64) bool {
	for {
		got, err := f.hear(2 * time.Second)
		if err != nil {
			return false
		}
		if !got.HasID || got.ID != id {
			continue
		}
		if got.Err != nil && !got.Err.Kind.Retryable() && got.Err.Kind != chat.NotMember {
			w.fail("putting a user out: %v", got.Err)
		}
		return got.Err == nil || got.Err.Kind == chat.NotMember
	}
}
