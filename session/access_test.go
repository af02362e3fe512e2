package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/session"
)

// late ends every token and claims every name behind the first question.
type late struct{ asked atomic.Int32 }

func (l *late) Access(_ context.Context, user chat.UserID) (chat.Access, error) {
	if l.asked.Add(1) == 1 {
		return chat.Access{User: user}, nil
	}
	return chat.Access{User: user, NotBefore: 1 << 40, Claimed: true}, nil
}

func (*late) Claim(chat.UserID) {}

// What ends a token while its client says hello, before the connection can be found by
// its user, ends that connection.
func TestTokenEndsDuringHello(t *testing.T) {
	raw, err := identity.Mint(secret, "ann", "", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, hello := range []string{`{"type":"hello","id":1,"token":"` + raw + `"}`, `{"type":"hello","id":1,"user":"bob"}`} {
		n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true, Users: new(late)}})
		p := n.connect()
		p.say(hello)
		select {
		case g := <-p.bye:
			if g != chat.ByeRevoked {
				t.Errorf("%+v", g)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the connection goes on")
		}
	}
}

// What a client sends behind the goodbye, while the connection is still read, is not
// carried out.
func TestNothingIsDoneBehindTheGoodbye(t *testing.T) {
	for name, c := range map[string]struct {
		frame, room string
		rev         int // of the room when another user has joined
	}{
		"a message":    {`{"type":"message","id":9,"room":"r","message":"late"}`, "r", 3},
		"an edit":      {`{"type":"edit","id":9,"room":"r","seq":1,"message":"late"}`, "r", 3},
		"leaving":      {`{"type":"leave","id":9,"room":"r"}`, "r", 3},
		"another room": {`{"type":"join","id":9,"room":"new"}`, "new", 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, true)
			p, other := n.connect(), n.connect()
			p.ask(`{"type":"join","id":1,"user":"ann","room":"r"}`, "type", "ack", "rev", 1)
			p.ask(`{"type":"message","id":2,"room":"r","message":"first"}`, "type", "ack", "rev", 2)
			if ended := n.hub.CloseUser("ann", chat.ByeRevoked); ended != 1 {
				t.Fatalf("%d connections ended", ended)
			}
			p.say(c.frame)
			other.ask(`{"type":"join","id":1,"user":"bob","room":"`+c.room+`"}`, "type", "ack", "rev", c.rev)
		})
	}
	p := newNode(t, true).connect()
	p.conn.Close(chat.ByeBusy)
	if p.say(`{"type":"hello","id":1,"user":"ann"}`); p.s.Authenticated() {
		t.Error("the connection got a speaker")
	}
}

// A connection that ends as its guest is about to speak does nothing for it.
func TestNothingIsDoneForAGuestWhoseNameIsClaimed(t *testing.T) {
	n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true, Users: new(late)}})
	p := n.connect()
	p.say(`{"type":"join","id":1,"user":"ann","room":"new"}`)
	if g := <-p.bye; g != chat.ByeRevoked {
		t.Errorf("%+v", g)
	}
	_, err := n.deps.Engine.GetRoom(t.Context(), engine.Actor{Server: true}, "new")
	if chat.KindOf(err) != chat.NotFound {
		t.Errorf("the room was made: %v", err)
	}
}

// A connection that may have no guest says why, whatever it asks first.
func TestGuestsFromElsewhere(t *testing.T) {
	n := newNode(t, true)
	p := n.connect()
	p.s.From(&session.Caller{NoGuest: chat.E(chat.Unauthed, "not from there")})
	if p.s.GuestsWelcome() {
		t.Error("welcome")
	}
	for _, frame := range []string{`{"type":"hello","id":1,"user":"bob"}`, `{"type":"hello","id":1}`, `{"type":"join","id":1,"room":"r","user":"bob"}`, `{"type":"rooms","id":1}`} {
		p.ask(frame, "type", "error", "code", "unauthenticated", "message", "not from there")
	}
	raw, err := identity.Mint(secret, "ann", "", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.ask(`{"type":"hello","id":2,"token":"`+raw+`"}`, "type", "ack", "user", "ann")
}

// away does not know users at first.
type away struct{ asked atomic.Int32 }

func (a *away) Access(_ context.Context, user chat.UserID) (chat.Access, error) {
	if a.asked.Add(1) == 1 {
		return chat.Access{}, chat.E(chat.Unavailable, "the database is not available")
	}
	return chat.Access{User: user}, nil
}

func (*away) Claim(chat.UserID) {}

// What a client sends behind a hello without waiting for its answer is not a guest's if
// the hello is refused.
func TestNobodySpeaksBehindARefusedHello(t *testing.T) {
	n := openNode(t, testserver.Config{Identity: identity.Config{Guests: true, Users: new(away)}})
	p := n.connect()
	p.say(`{"type":"hello","id":1,"user":"bob"}`)
	p.say(`{"type":"join","id":2,"room":"r"}`)
	p.want("type", "error", "id", 1, "code", "unavailable")
	p.want("type", "error", "id", 2, "code", "unavailable", "message", "the database is not available")
	p.ask(`{"type":"hello","id":3,"user":"bob"}`, "type", "ack", "user", "bob")
	p.ask(`{"type":"join","id":4,"room":"r"}`, "type", "ack", "room", "r")
}
