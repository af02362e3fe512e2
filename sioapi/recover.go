package sioapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/wire"
)

// sessions is how stock clients that were cut off come back to where they were
// (socketio.Sessions, "connection state recovery"): with the same id and name, in
// the same rooms, behind all they have missed.
type sessions struct{ h *Handler }

// PID is the id and its signature, so that nothing has to be kept for clients
// that are here.
func (ss sessions) PID(id string) string {
	mac := hmac.New(sha256.New, ss.h.cfg.Secret)
	mac.Write([]byte("come back to "))
	mac.Write([]byte(id))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// Claim lets the user come back that left; a guest without a name is who it was
// by the secret alone. A token is asked for as always.
func (ss sessions) Claim(s *socketio.Socket, pid, offset string) (id string) {
	id, _, _ = strings.Cut(pid, ".")
	if !hmac.Equal([]byte(ss.PID(id)), []byte(pid)) {
		return ""
	}
	a := ss.find(id)
	if a == nil {
		return ""
	}
	c := clientOf(s)
	if !c.is(a) {
		ss.h.absent.put(a)
		return ""
	}
	have, ok := a.Delivered.Have(parseOffset(offset))
	if !ok {
		return ""
	}
	c.conn.SetPending(have)
	c.id = id
	return id
}

// find returns what there is of the client: it is away, or its old connection
// lingers and now ends.
func (ss sessions) find(id string) *absence {
	if a := ss.h.absent.take(id); a != nil {
		return a
	}
	if s := ss.h.io.Of("/").Socket(id); s != nil {
		old := clientOf(s)
		a := old.absence()
		old.conn.Close(chat.Goodbye{})
		if a != nil {
			return a
		}
	}
	return ss.h.absent.take(id) // it left just now
}

// is reports whether the client is the one that was away.
func (c *client) is(a *absence) bool {
	if c.session.Authenticated() {
		user, _, _ := c.session.Speaker()
		return user == a.User
	}
	if !a.Guest {
		return false
	}
	var err error
	c.hello, err = c.session.Greet(c.h.ctx, &wire.Command{Type: wire.Hello, User: a.User, Name: a.Name})
	return err == nil
}

// absence is what to keep of the client, once: nil when somebody has it, and when
// there is nothing to come back to.
func (c *client) absence() *absence {
	if c.kept.Swap(true) || c.id == "" || !c.session.Authenticated() {
		return nil
	}
	a := &absence{ID: c.id, Delivered: c.conn.Delivered()}
	a.User, a.Name, a.Guest = c.session.Speaker()
	return a
}

// Pong is told by Socket.IO when the client has answered a ping (socketio.PongWriter).
func (c *client) Pong() { c.conn.Acked() }

// recovered brings the client up to date behind its CONNECT.
func (c *client) recovered() {
	err := c.session.Recover(c.h.ctx)
	if err == nil {
		return
	}
	level := slog.LevelDebug // the node is busy, or stops
	if chat.KindOf(err) == chat.Internal {
		level = slog.LevelError
	}
	c.h.cfg.Log.Log(c.h.ctx, level, "a client could not come back yet", "err", err)
	c.conn.Close(chat.ByeBusy)
}
