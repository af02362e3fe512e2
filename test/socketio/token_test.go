package socketio

import (
	"net/http"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// TestTokens covers a node without guests: which clients get in, what the others are
// answered, and that a revoked client stays disconnected until it connects explicitly.
func TestTokens(t *testing.T) {
	for _, v := range versions {
		for _, m := range modes {
			t.Run(v.version+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				w := newFixture(t, append(m.env, "ROOMTIDE_GUESTS=off")...)
				c := &stockClient{object: newObject(t, "peer", v.name), mode: m}
				if v.name == "io1" || v.name == "io2" {
					c.helloEvent = true
					c.helloWithToken(w)
				} else {
					c.authWithToken(w)
				}
				c.revoked(w)
			})
		}
	}
}

func (w *fixture) token(user string) string {
	w.t.Helper()
	out, errs, err := program.Run(w.ctx(), "token", "--user", user, "--data-dir", w.dir)
	if err != nil {
		w.t.Fatalf("making a token: %v\n%s", err, errs)
	}
	return strings.TrimSpace(out)
}

// authWithToken is for clients with auth in the handshake.
func (c *stockClient) authWithToken(w *fixture) {
	c.t.Helper()
	do[bool](c.object, "open", w.node.URL(""), c.mode.with(fields{"auth": fields{"token": "wrong"}}))
	if e := c.next("connect_error"); e.Data == nil || e.Data.Code != chat.Unauthed.Code() || e.Message != e.Data.Message {
		c.t.Fatalf("connect_error: %+v", e)
	}
	do[bool](c.object, "connect", fields{"token": w.token("ada")})
	c.connected()
}

func (c *stockClient) helloWithToken(w *fixture) {
	c.t.Helper()
	do[bool](c.object, "open", w.node.URL(""), c.mode.options)
	do[any](c.object, "next", "connect")
	for name, f := range map[string]fields{"join": {"room": "room1", "user": "ada"}, "hello": {"token": "wrong"}} {
		if r := c.request(name, f); r.Type != "error" || r.Code != chat.Unauthed.Code() {
			c.t.Fatalf("%s: %+v", name, r)
		}
	}
	if r := c.request("hello", fields{"token": w.token("ada")}); r.User != "ada" {
		c.t.Fatalf("hello: %+v", r)
	}
	do[bool](c.object, "on", c.mode.transport)
}

// revoked ends the connection as an administrator does. The request before it makes sure
// that the server has finished the upgrade: a client in the middle of one has stopped
// polling and would miss the goodbye.
func (c *stockClient) revoked(w *fixture) {
	c.t.Helper()
	do[bool](c.object, "on", c.mode.transport)
	if r := c.request("rooms", fields{}); r.Type != "ack" {
		c.t.Fatalf("rooms: %+v", r)
	}
	if status := w.http(http.MethodDelete, "/v1/users/ada/connections", nil, nil); status/100 != 2 {
		c.t.Fatalf("revoking: %d", status)
	}
	if g := c.next("goodbye"); g.Reason != chat.ByeRevoked.Reason || g.Retry != "never" {
		c.t.Errorf("goodbye: %+v", g)
	}
	if reason := do[string](c.object, "next", "disconnect"); reason != "io server disconnect" {
		c.t.Errorf("disconnect: %s", reason)
	}
	do[bool](c.object, "connect")
	do[any](c.object, "next", "connect")
	do[bool](c.object, "close")
}
