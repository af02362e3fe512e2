package sioapi_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/sioapi"
)

// An authentication is refused with busy while there are too many, and works later.
// Clients that authenticate in the handshake reconnect because their connection
// ends.
func TestBusyAuthentications(t *testing.T) {
	limiter := limit.New(limit.Config{Name: "authentications", Permits: 1, MaxWaiting: -1})
	v, err := identity.New(identity.Config{Guests: true, Secret: secret, Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, sioapi.Config{})
	w.deps.Verifier = v
	auth := `{"token":"` + token(t, "tom", time.Hour) + `"}`
	for _, k := range kinds {
		if err := limiter.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, _ := w.dial(k, nil)
		if k.version == 4 {
			p.say("0" + auth)
			p.want("")
			w.connect(k, `{"user":"bob"}`).want(`2["hello",`) // has nothing to prove
		} else {
			p.want("0")
			p.say(`21["hello",` + auth + `]`)
			p.want(`31[{"type":"error","command":"hello","code":"busy",`)
		}
		limiter.Release()
		if k.version == 4 {
			w.connect(k, auth).want(`2["hello",{"type":"ack","user":"tom"`)
		} else {
			p.say(`22["hello",` + auth + `]`)
			p.want(`32[{"type":"ack","user":"tom"`)
		}
	}
}

// A fault of the node while a client is let in ends the connection and is logged: a stock
// client that is refused would never come back.
func TestFaultAtConnect(t *testing.T) {
	users := &brokenUsers{}
	v, err := identity.New(identity.Config{Guests: true, Secret: secret, Users: users})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, sioapi.Config{})
	w.deps.Verifier = v
	for _, k := range kinds {
		if k.version != 4 {
			continue // the others say hello later, and get its error
		}
		users.broken.Store(true)
		p, _ := w.dial(k, nil)
		p.say(`0{"user":"bob"}`)
		p.want("")
		users.broken.Store(false)
		w.connect(k, `{"user":"bob"}`).want(`2["hello",`)
	}
	if !strings.Contains(w.log.String(), "no such table") {
		t.Error("the fault is not in the log")
	}
}

// brokenUsers are users that cannot be looked up while it is broken.
type brokenUsers struct{ broken atomic.Bool }

func (u *brokenUsers) Access(context.Context, chat.UserID) (chat.Access, error) {
	if u.broken.Load() {
		return chat.Access{}, chat.Wrap(chat.Internal, "store.access", errors.New("no such table"))
	}
	return chat.Access{}, nil
}

func (*brokenUsers) Claim(chat.UserID) {}
