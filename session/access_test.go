package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
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
