package session_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/wire"
)

// pausing is a wire that calls a function, once, while it writes: the state of the room
// was read by then, and the client has not got it yet.
type pausing struct {
	lines
	ack, event func()
}

func (p *pausing) Ack(dst []byte, id int64, hasID bool, r wire.Reply) []byte {
	if _, join := r.(*wire.JoinReply); join && p.ack != nil {
		do := p.ack
		p.ack = nil
		do()
	}
	return p.lines.Ack(dst, id, hasID, r)
}

func (p *pausing) AppendEvent(dst []byte, ev *chat.Event) []byte {
	if do := p.event; do != nil && ev.Kind == chat.EventPresence {
		p.event = nil
		do()
	}
	return p.lines.AppendEvent(dst, ev)
}

// room makes a room with members.
func (n *node) room(room chat.RoomID, members ...chat.UserID) {
	n.t.Helper()
	for _, user := range members {
		if _, err := n.deps.Engine.Join(n.t.Context(), engine.Actor{User: user}, room, engine.JoinOptions{}); err != nil {
			n.t.Fatal(err)
		}
	}
}

// put gives a user a role in a room, in the host's name.
func (n *node) put(user chat.UserID, room chat.RoomID, role chat.Role) {
	n.t.Helper()
	c := &change.SetMember{Room: room, User: user, Role: role, Unban: role == chat.RoleNone}
	if _, err := n.deps.Engine.Do(n.t.Context(), engine.Actor{Server: true}, c); err != nil {
		n.t.Error(err)
	}
}

// awaitOut waits until the hub has taken the peer out of the room.
func (p *peer) awaitOut(room chat.RoomID) {
	p.t.Helper()
	for start := time.Now(); p.conn.Subscribed(room); runtime.Gosched() {
		if time.Since(start) > 10*time.Second {
			p.t.Fatal("the hub does not hear of it")
		}
	}
}

// wantOnline compares the number of users online in the room.
func (n *node) wantOnline(room chat.RoomID, want int) {
	n.t.Helper()
	r, err := n.deps.Engine.Online(n.t.Context(), engine.Actor{Server: true}, room, 10)
	if err != nil || r.Count != want {
		n.t.Errorf("%d users are online, %v, want %d", r.Count, err, want)
	}
}

// A user whose membership ends when the room was read for a join and the answer is not
// sent yet does not believe to be in the room: the event comes alone, or behind the
// answer, whatever ends the membership and however the room was joined.
func TestPutOutBeforeTheAnswer(t *testing.T) {
	n := newNode(t, true)
	w := new(pausing)
	for how, end := range map[string]func(room chat.RoomID){
		"removed": func(room chat.RoomID) { n.put("bob", room, chat.RoleNone) },
		"banned":  func(room chat.RoomID) { n.put("bob", room, chat.RoleBanned) },
		"deleted": func(room chat.RoomID) {
			if _, err := n.deps.Engine.Do(t.Context(), engine.Actor{Server: true}, &change.DeleteRoom{Room: room}); err != nil {
				t.Error(err)
			}
		},
	} {
		for i, join := range []string{
			`{"type":"join","id":2,"room":"%s"}`,
			`{"type":"join","id":2,"room":"%s","after":0}`,
			`{"type":"join","id":2,"room":"%s","after":0,"limit":1}`, // a part of what changed
			`{"type":"join","id":2,"room":"%s","around":"read"}`,
		} {
			room := chat.RoomID(fmt.Sprint(how, i))
			n.room(room, "ann", "bob")
			bob := n.connectOn(w)
			bob.ask(`{"type":"hello","id":1,"user":"bob"}`, "type", "ack")
			w.ack = func() {
				end(room)
				bob.awaitOut(room)
			}
			bob.say(fmt.Sprintf(join, room))
			var in, out bool
			for range 2 { // the event and the error, in any order
				switch f := bob.hear(); {
				case f["type"] == "error" && f["id"] == 2.0:
				case f["type"] == "member" && f["user"] == "bob" && f["since"] == 0.0, f["type"] == "room" && f["deleted"] == true:
					in, out = false, true
				case f["type"] == "ack" && f["id"] == 2.0:
					in, out = true, false
				default:
					t.Errorf("%s: heard %v", room, f)
				}
			}
			if in || !out || bob.conn.Subscribed(room) {
				t.Errorf("%s: in the room: %v, put out: %v", room, in, out)
			}
			if how != "deleted" {
				n.wantOnline(room, 0)
			}
			bob.s.Close()
			bob.conn.Detach()
		}
	}
}

// The same for a client that comes back.
func TestPutOutWhileRecovering(t *testing.T) {
	n := newNode(t, true)
	n.room("r", "ann")
	w := new(pausing)
	ann := n.connectOn(w)
	ann.conn.Track()
	ann.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack")
	ann.conn.SetPending([]hub.Position{{Room: "r", Rev: 1}})
	w.event = func() {
		n.put("ann", "r", chat.RoleNone)
		ann.awaitOut("r")
	}
	if err := ann.s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.event != nil {
		t.Fatal("the membership did not end")
	}
	for range 2 { // what the hub says, and the answer to coming back
		ann.want("type", "member", "user", "ann", "role", "none", "since", 0)
	}
	ann.quiet()
	if d := ann.conn.Delivered(); len(d.Rooms) != 0 || ann.conn.Subscribed("r") {
		t.Errorf("in the room still: %+v", d)
	}
	n.wantOnline("r", 0)
}

var _ session.Codec = (*pausing)(nil)
