package socketio

import (
	"net/http"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// TestTokens is a node without guests: who may come, what the others are told,
// and that who was sent away stays away until the program wants otherwise.
func TestTokens(t *testing.T) {
	for _, v := range versions {
		for _, m := range modes {
			t.Run(v.version+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, append(m.env, "ROOMTIDE_GUESTS=off")...)
				a := &ada{object: newObject(t, "peer", v.name), mode: m}
				if v.name == "io1" || v.name == "io2" {
					a.says = true
					a.helloWithToken(w)
				} else {
					a.authWithToken(w)
				}
				a.revoked(w)
			})
		}
	}
}

func (w *world) token(user string) string {
	w.t.Helper()
	out, errs, err := program.Run(w.ctx(), "token", "--user", user, "--data-dir", w.dir)
	if err != nil {
		w.t.Fatalf("making a token: %v\n%s", err, errs)
	}
	return strings.TrimSpace(out)
}

// authWithToken is for clients that say who they are when they connect.
func (a *ada) authWithToken(w *world) {
	a.t.Helper()
	do[bool](a.object, "open", w.node.URL(""), a.mode.with(fields{"auth": fields{"token": "wrong"}}))
	if e := a.next("connect_error"); e.Data == nil || e.Data.Code != chat.Unauthed.Code() || e.Message != e.Data.Message {
		a.t.Fatalf("connect_error: %+v", e)
	}
	do[bool](a.object, "connect", fields{"token": w.token("ada")})
	a.arrive()
}

func (a *ada) helloWithToken(w *world) {
	a.t.Helper()
	do[bool](a.object, "open", w.node.URL(""), a.mode.options)
	do[any](a.object, "next", "connect")
	for name, f := range map[string]fields{"join": {"room": "room1", "user": "ada"}, "hello": {"token": "wrong"}} {
		if r := a.ask(name, f); r.Type != "error" || r.Code != chat.Unauthed.Code() {
			a.t.Fatalf("%s: %+v", name, r)
		}
	}
	if r := a.ask("hello", fields{"token": w.token("ada")}); r.User != "ada" {
		a.t.Fatalf("hello: %+v", r)
	}
	do[bool](a.object, "on", a.mode.ends)
}

// revoked is what an administrator does to her. The answer to a question says that
// the server, too, is done with the upgrade: what it says in the middle of one is
// not heard by a client that has stopped polling.
func (a *ada) revoked(w *world) {
	a.t.Helper()
	do[bool](a.object, "on", a.mode.ends)
	if r := a.ask("rooms", fields{}); r.Type != "ack" {
		a.t.Fatalf("rooms: %+v", r)
	}
	if status := w.http(http.MethodDelete, "/v1/users/ada/connections", nil, nil); status/100 != 2 {
		a.t.Fatalf("revoking: %d", status)
	}
	if g := a.next("goodbye"); g.Reason != chat.ByeRevoked.Reason || g.Retry != "never" {
		a.t.Errorf("goodbye: %+v", g)
	}
	if why := do[string](a.object, "next", "disconnect"); why != "io server disconnect" {
		a.t.Errorf("disconnect: %s", why)
	}
	do[bool](a.object, "connect")
	do[any](a.object, "next", "connect")
	do[bool](a.object, "close")
}
