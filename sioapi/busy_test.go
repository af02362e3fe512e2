package sioapi_test

import (
	"testing"
	"time"

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
