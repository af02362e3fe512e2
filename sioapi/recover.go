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

// sessions resumes the sessions of stock clients that were disconnected
// (socketio.Sessions, "connection state recovery"): with the same id and name, in
// the same rooms, behind all they have missed.
type sessions struct{ h *Handler }

// PID is the id and its signature, so that nothing has to be kept for clients
// that are connected.
func (ss sessions) PID(id string) string {
	mac := hmac.New(sha256.New, ss.h.cfg.Secret)
	mac.Write([]byte("come back to "))
	mac.Write([]byte(id))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// Claim resumes a session for the user that it belonged to. For a guest the secret
// is enough; a token is checked as always.
func (ss sessions) Claim(s *socketio.Socket, pid, offset string) (id string) {
	id, _, _ = strings.Cut(pid, ".")
	if !hmac.Equal([]byte(ss.PID(id)), []byte(pid)) {
		return ""
	}
	r := ss.find(id)
	if r == nil {
		return ""
	}
	c := clientOf(s)
	if !c.owns(r) {
		ss.h.resumable.put(r)
		return ""
	}
	have, ok := r.Delivered.Have(parseOffset(offset))
	if !ok {
		return ""
	}
	c.conn.SetPending(have)
	c.id = id
	return id
}

// find takes the state of a session: from the store, or from its old connection,
// which lingers and now ends.
func (ss sessions) find(id string) *resumeState {
	if r := ss.h.resumable.take(id); r != nil {
		return r
	}
	if s := ss.h.io.Of("/").Socket(id); s != nil {
		old := clientOf(s)
		r := old.resumeState()
		old.conn.Close(chat.Goodbye{})
		if r != nil {
			return r
		}
	}
	return ss.h.resumable.take(id) // it ended just now
}

// owns reports whether the session belongs to the client's user. For a guest it
// says hello in the name that the session had.
func (c *client) owns(r *resumeState) bool {
	if c.session.Authenticated() {
		user, _, _ := c.session.Speaker()
		return user == r.User
	}
	if !r.Guest {
		return false
	}
	var err error
	c.hello, err = c.session.Greet(c.h.ctx, &wire.Command{Type: wire.Hello, User: r.User, Name: r.Name})
	return err == nil
}

// resumeState is what to keep of the client. It is returned once; then, and when
// there is nothing to resume, it is nil.
func (c *client) resumeState() *resumeState {
	if c.saved.Swap(true) || c.id == "" || !c.session.Authenticated() {
		return nil
	}
	r := &resumeState{ID: c.id, Delivered: c.conn.Delivered()}
	r.User, r.Name, r.Guest = c.session.Speaker()
	return r
}

// Pong is called when the client has answered a ping, which acknowledges all that
// was sent before it (socketio.PongWriter).
func (c *client) Pong() { c.conn.Acked() }

// recovered replays what the client missed, behind its CONNECT.
func (c *client) recovered() {
	err := c.session.Recover(c.h.ctx)
	if err == nil {
		return
	}
	level := slog.LevelDebug // the node is busy, or stops
	if chat.KindOf(err) == chat.Internal {
		level = slog.LevelError
	}
	c.h.cfg.Log.Log(c.h.ctx, level, "a client could not be resumed yet", "err", err)
	c.conn.Close(chat.ByeBusy)
}
