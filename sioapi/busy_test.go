package sioapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	w, users := newBrokenWorld(t)
	for _, k := range kinds {
		if k.version != 4 {
			continue // the others say hello later, and get its error
		}
		users.fail(chat.Internal)
		p, _ := w.dial(k, nil)
		p.say(`0{"user":"bob"}`)
		p.want("")
		users.mend()
		w.connect(k, `{"user":"bob"}`).want(`2["hello",`)
	}
	if !strings.Contains(w.log.String(), "no such table") {
		t.Error("the fault is not in the log")
	}
}

// So does one while a guest resumes a session by the secret alone. It gets no other
// session in its place, and resumes its own when it comes back.
func TestFaultAtRecovery(t *testing.T) {
	w, users := newBrokenWorld(t)
	s := w.stock("websocket", "")
	s.join("a")
	for _, kind := range []chat.Kind{chat.Busy, chat.Unavailable, chat.Internal} {
		w.write("a", "one")
		s.wantEvents("message a one")
		s.cut()
		users.fail(kind)
		p, _ := w.dial(s.kind, http.Header{"User-Agent": {"Mozilla/5.0"}})
		p.say(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, s.pid, s.offset))
		p.want("")
		users.mend()
		w.write("a", "two")
		if s.reconnect(w, "websocket"); !s.recovered {
			t.Fatalf("%v: not recovered", kind)
		}
		s.want(`2["hello",`)
		s.wantEvents("message a two", "presence a")
	}
	if !strings.Contains(w.log.String(), "no such table") {
		t.Error("the fault is not in the log")
	}
}

// newBrokenWorld opens a node with guests, whose users can be made to fail.
func newBrokenWorld(t *testing.T) (*world, *brokenUsers) {
	t.Helper()
	users := &brokenUsers{}
	v, err := identity.New(identity.Config{Guests: true, Secret: secret, Users: users})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, sioapi.Config{})
	w.deps.Verifier = v
	return w, users
}

// brokenUsers are users that cannot be looked up from fail to mend.
type brokenUsers struct{ fault atomic.Pointer[chat.Error] }

func (u *brokenUsers) fail(kind chat.Kind) {
	u.fault.Store(chat.Wrap(kind, "store.access", errors.New("no such table")))
}

func (u *brokenUsers) mend() { u.fault.Store(nil) }

func (u *brokenUsers) Access(context.Context, chat.UserID) (chat.Access, error) {
	if err := u.fault.Load(); err != nil {
		return chat.Access{}, err
	}
	return chat.Access{}, nil
}

func (*brokenUsers) Claim(chat.UserID) {}
