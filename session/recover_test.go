package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
)

// comeBack connects ann, who was in rooms, and has her recovered.
func (n *node) comeBack(have ...hub.Position) (*peer, error) {
	n.t.Helper()
	p := n.connect()
	p.conn.Track()
	p.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack")
	p.conn.SetPending(have)
	return p, p.s.Recover(n.t.Context())
}

func TestRecover(t *testing.T) {
	n := newNode(t, true)
	ann, bob := n.connect(), n.connect()
	for i, p := range []*peer{ann, bob} { // rev 1, rev 2
		for _, room := range []string{"a", "b"} {
			p.ask(`{"type":"join","id":1,"user":"`+[]string{"ann", "bob"}[i]+`","room":"`+room+`"}`, "type", "ack")
		}
	}
	bob.say(`{"type":"message","room":"a","message":"one"}`) // rev 3
	bob.want("type", "message", "rev", 3)
	bob.say(`{"type":"edit","room":"a","seq":1,"message":"One"}`) // rev 4
	bob.want("type", "edited", "rev", 4)

	for _, c := range []struct {
		what string
		have chat.Rev
		want []any // of what comes before the live event
	}{
		{"nothing was missed", 4, nil},
		{"an edit", 3, []any{"type", "edited", "message", "One", "rev", 4}},
		{"a message and its edit", 2, []any{"type", "message", "message", "One", "rev", 4}},
		{"another history", 99, []any{"type", "gap", "rev", 99, "reason", "reset"}},
	} {
		p, err := n.comeBack(hub.Position{Room: "a", Rev: c.have})
		if err != nil {
			t.Fatal(c.what, err)
		}
		if c.want != nil {
			p.want(c.want...)
		}
		if d := p.conn.Delivered(); c.have < 99 && (len(d.Rooms) != 1 || d.Rooms[0] != hub.Position{Room: "a", Rev: 4}) || c.have == 99 && len(d.Rooms) != 0 {
			t.Errorf("%s: %+v", c.what, d)
		}
		bob.say(`{"type":"typing","room":"a"}`)
		bob.want("type", "typing")
		if c.have < 99 {
			p.want("type", "typing", "room", "a")
		}
	}

	// A room that is not there is told like one that she may not be in.
	p, err := n.comeBack(hub.Position{Room: "nowhere", Rev: 7}, hub.Position{Room: "b", Rev: 2})
	if err != nil {
		t.Fatal(err)
	}
	p.want("type", "member", "room", "nowhere", "role", "none", "user", "ann")
	bob.say(`{"type":"message","room":"b","message":"two"}`)
	p.want("type", "message", "room", "b", "message", "two")
}

// The client did not ask to join, so it is not told to come later: it takes its time.
func TestRecoverTakesItsTime(t *testing.T) {
	n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true}, Joins: engine.Rate{PerSecond: 20, Burst: 1}})
	var have []hub.Position
	ann := n.connect()
	for _, room := range []chat.RoomID{"a", "b", "c"} {
		if _, err := n.deps.Engine.Join(t.Context(), engine.Actor{User: "ann", Server: true}, room, engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
		have = append(have, hub.Position{Room: room, Rev: 1})
	}
	ann.conn.Detach()
	p, err := n.comeBack(have...)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range have {
		if !p.conn.Subscribed(at.Room) {
			t.Errorf("not in %s", at.Room)
		}
	}
	p.conn.Detach()

	p = n.connect()
	p.ask(`{"type":"hello","id":1,"user":"ann"}`, "type", "ack")
	p.conn.SetPending(have)
	over, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.s.Recover(over); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("the node stops: %v", err)
	}
}
