package session_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/presence/mempresence"
)

// quiet fails the test if anything but presence came before the answer to a ping.
func (p *peer) quiet() {
	p.t.Helper()
	p.ask(`{"type":"ping","id":99}`, "type", "ack", "id", 99)
}

// What was read on one device is read on all of the user's, also in a room so large
// that others are not told, and with what is unread from there.
func TestReadMarkOnAllDevices(t *testing.T) {
	limits := chat.DefaultLimits()
	limits.ReadEventRoom = 1
	n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true}, Limits: limits})
	ann, bob, phone, elsewhere := n.connect(), n.connect(), n.connect(), n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack")
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "type", "ack")
	ann.want("type", "member", "user", "bob")
	phone.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "type", "ack", "read", 0, "unread", 0)
	elsewhere.ask(`{"type":"join","id":1,"user":"bob","room":"other"}`, "type", "ack")
	for seq := 1; seq <= 3; seq++ {
		ann.say(`{"type":"message","room":"r","message":"x"}`)
		for _, p := range []*peer{ann, bob, phone} {
			p.want("type", "message", "seq", seq)
		}
	}
	bob.say(`{"type":"read","id":2,"room":"r","seq":1}`)
	a, b := bob.hear(), bob.hear()
	if a["type"] == "read" {
		a, b = b, a
	}
	if a["type"] != "ack" || a["unread"] != 2.0 || b["type"] != "read" || b["unread"] != 2.0 {
		t.Errorf("%v %v", a, b)
	}
	phone.want("type", "read", "user", "bob", "seq", 1, "unread", 2)
	bob.say(`{"type":"message","room":"r","message":"an answer"}`)
	for _, p := range []*peer{ann, bob, phone} {
		p.want("type", "message", "seq", 4)
	}
	phone.say(`{"type":"read","room":"r","seq":3}`)
	phone.want("type", "read", "seq", 3, "unread", 0)
	bob.want("type", "read", "user", "bob", "seq", 3, "unread", 0)
	ann.quiet()
	elsewhere.quiet()
	phone.say(`{"type":"read","room":"r","seq":2}`) // behind the mark
	phone.quiet()
}

// Every connection in a room hears that it was deleted, and nothing of the room that
// is made under the same name later until it joins that.
func TestDeletedRoomOnConnections(t *testing.T) {
	n := newNode(t, true)
	ann, bob, cid := n.connect(), n.connect(), n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack", "role", "owner")
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"r"}`, "type", "ack")
	ann.want("type", "member", "user", "bob")
	old := bob.ask(`{"type":"join","id":2,"room":"r"}`, "type", "ack")["rev"]
	if _, err := n.deps.Engine.Do(t.Context(), engine.Actor{User: "ann"}, &change.DeleteRoom{Room: "r"}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{ann, bob} {
		p.want("type", "room", "room", "r", "deleted", true, "rev", 3)
	}
	bob.ask(`{"type":"message","id":3,"room":"r","message":"x"}`, "type", "error", "code", "not_member")
	bob.ask(`{"type":"rooms","id":4}`, "type", "ack", "rooms", "[]")
	for {
		cid.say(`{"type":"join","id":1,"user":"cid","room":"r"}`)
		if got := cid.hear(); got["code"] != "busy" {
			if got["type"] != "ack" || got["role"] != "owner" || got["seq"] != 0.0 {
				t.Fatalf("%v", got)
			}
			break
		}
	}
	cid.ask(`{"type":"message","id":2,"room":"r","message":"new"}`, "type", "ack", "seq", 1)
	ann.quiet()
	bob.quiet()
	bob.ask(`{"type":"join","id":5,"room":"r","after":2}`, "type", "ack", "reset", true, "role", "member", "seq", 1)
	if old != 2.0 {
		t.Errorf("the old rev was %v", old)
	}
}

// The commands for lists and places say what they mean on the wire.
func TestRoomsAndPlaces(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	ann.ask(`{"type":"join","id":1,"user":"ann","room":"b"}`, "type", "ack")
	ann.ask(`{"type":"join","id":2,"room":"a"}`, "type", "ack")
	bob.ask(`{"type":"join","id":1,"user":"bob","room":"a"}`, "type", "ack")
	ann.want("type", "member")
	for seq := 1; seq <= 5; seq++ {
		bob.say(`{"type":"message","room":"a","message":"x"}`)
		ann.want("type", "message", "seq", seq)
		bob.want("type", "message", "seq", seq)
	}
	ann.ask(`{"type":"rooms","id":3,"limit":1}`, "type", "ack", "more", true, "next", "a")
	ann.ask(`{"type":"rooms","id":4,"limit":1,"after":"a"}`, "type", "ack", "more", false)
	ann.ask(`{"type":"rooms","id":5,"order":"size"}`, "type", "error", "code", "invalid")
	ann.ask(`{"type":"unread","id":6}`, "type", "ack", "user", "ann", "unread", 5, "rooms", "[map[read:0 room:a seq:5 unread:5]]")
	ann.say(`{"type":"read","room":"a","seq":2}`)
	ann.want("type", "read", "unread", 3)
	bob.want("type", "read")
	got := ann.ask(`{"type":"join","id":7,"room":"a","around":"read","limit":2}`, "type", "ack", "read", 2, "unread", 3, "unread_from", 3, "more", true, "newer", true)
	if ms := got["messages"].([]any); len(ms) != 2 || ms[0].(map[string]any)["seq"] != 2.0 {
		t.Errorf("%v", ms)
	}
	ann.want("type", "read", "seq", 2) // once more: it comes after the rev of the ack
	ann.ask(`{"type":"history","id":8,"room":"a","around":1,"limit":2}`, "type", "ack", "more", false, "newer", true)
	ann.ask(`{"type":"history","id":9,"room":"a","around":"here"}`, "type", "error", "code", "invalid")
	ann.ask(`{"type":"history","id":10,"room":"a","around":-1}`, "type", "error", "code", "invalid")
}

// interrupted is a presence driver that calls a function, once, while a join asks it
// which users are online.
type interrupted struct {
	*mempresence.Driver
	next atomic.Pointer[func()]
}

func (d *interrupted) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	if do := d.next.Swap(nil); do != nil {
		(*do)()
	}
	return d.Driver.Online(ctx, room, limit)
}

// A user whose membership ends while a join reads the room is told so, and neither
// believes to be in the room nor counts as online; the join does not undo it.
func TestPutOutWhileJoining(t *testing.T) {
	driver := &interrupted{Driver: mempresence.New()}
	n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true}, Driver: driver})
	for role, code := range map[chat.Role]string{chat.RoleNone: "not_member", chat.RoleBanned: "forbidden"} {
		bob := n.connect()
		bob.ask(`{"type":"hello","id":1,"user":"bob"}`, "type", "ack")
		room := chat.RoomID(role.String())
		put := func(role chat.Role) {
			c := &change.SetMember{Room: room, User: "bob", Role: role, Unban: role == chat.RoleNone}
			if _, err := n.deps.Engine.Do(t.Context(), engine.Actor{Server: true}, c); err != nil {
				t.Error(err)
			}
		}
		out := func() {
			put(role)
			for start := time.Now(); bob.conn.Subscribed(room); runtime.Gosched() {
				if time.Since(start) > 10*time.Second {
					t.Error("the hub does not hear of it")
					return
				}
			}
		}
		driver.next.Store(&out)
		join := `{"type":"join","id":2,"room":"` + string(room) + `"}`
		bob.say(join)
		for range 2 { // the event and the answer, in any order
			switch f := bob.hear(); {
			case f["type"] == "member" && f["user"] == "bob" && f["role"] == role.String():
			case f["type"] == "error" && f["id"] == 2.0 && f["code"] == code:
			default:
				t.Errorf("%s: heard %v", role, f)
			}
		}
		if bob.conn.Subscribed(room) {
			t.Errorf("%s: the connection is subscribed", role)
		}
		put(chat.RoleMember) // in again: the next join is an ordinary one
		bob.ask(join, "type", "ack", "role", "member")
	}
}
