package sioapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
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
// that are connected. It stays the same when a session is resumed, which is how the
// client knows: then it has the signature of the node on which the session began.
func (ss sessions) PID(s *socketio.Socket) string {
	if !clientOf(s).resumes {
		return ""
	}
	c := clientOf(s)
	return s.ID() + "." + ss.proof(s.ID(), c.proof)
}

// proof is the signature of an id: that of another node, or of this one.
func (ss sessions) proof(id, others string) string {
	if others != "" {
		return others
	}
	return ss.mac(id)
}

// mac is the signature of an id.
func (ss sessions) mac(id string) string {
	mac := hmac.New(sha256.New, ss.h.cfg.Secret)
	mac.Write([]byte("come back to "))
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// maxPID is the length of a pid at most.
const maxPID = 256

// Values of Config.Recovery.
const (
	RecoveryAuto = "auto" // on for libraries that are known to do without help
	RecoveryOn   = "on"
	RecoveryOff  = "off"
)

// setResumes decides whether the client is one that resumes. That costs an argument
// in its events, on which some libraries choke that do not know it. So a client is
// asked to say in its auth what it wants, and without is judged by its library.
func (c *client) setResumes(s *socketio.Socket) {
	var auth struct {
		Recovery *bool `json:"recovery"`
	}
	switch err := json.Unmarshal(s.Auth(), &auth); {
	case s.Protocol() == 4: // of that protocol none does
		return
	case err == nil && auth.Recovery != nil:
		c.resumes = *auth.Recovery
	case c.h.cfg.Recovery == RecoveryAuto:
		c.resumes = c.script
	default:
		c.resumes = c.h.cfg.Recovery == RecoveryOn
	}
	if c.resumes {
		c.setID(s.ID(), "")
		c.conn.SetEncoding(Encoding{Deflate: c.engine.Deflates()})
		c.conn.Track()
	}
}

// isScript reports whether a handshake seems to be that of the stock library, which
// is in JavaScript: it comes from a browser, or from what runs scripts outside of
// browsers. The WebSocket of Node.js has no User-Agent; what it offers is its own.
func isScript(r *http.Request) bool {
	agent := r.Header.Get("User-Agent")
	for _, name := range []string{"Mozilla/", "node", "Deno/", "Bun/"} {
		if strings.HasPrefix(agent, name) {
			return true
		}
	}
	return agent == "" && r.Header.Get("Origin") == "" &&
		r.Header.Get("Sec-Websocket-Extensions") == "permessage-deflate; client_max_window_bits"
}

// Claim resumes a session for the user that it belonged to. For a guest the secret
// is enough; a token is checked as always.
func (ss sessions) Claim(s *socketio.Socket, pid, offset string) (id string) {
	c := clientOf(s)
	if !c.resumes || len(pid) > maxPID {
		return ""
	}
	id, mac, _ := strings.Cut(pid, ".")
	r := ss.take(id, mac)
	if r == nil {
		if r = ss.ask(pid); r == nil {
			ss.h.cfg.Log.Debug("there is no session for a client that comes back", "id", id)
			return ""
		}
	}
	if owns, err := c.owns(r); !owns {
		ss.h.resumable.put(r)
		c.fault(err)
		return ""
	}
	have, ok := r.Delivered.Have(parseOffset(offset))
	if !ok {
		return ""
	}
	c.conn.SetPending(have)
	c.setID(id, r.Proof)
	return id
}

// take takes the state of a session that this node has: from the store, or from its old
// connection, which lingers and now ends. It does not block.
func (ss sessions) take(id, mac string) *resumeState {
	fromStore := func() *resumeState {
		return ss.h.resumable.take(id, func(r *resumeState) bool {
			return hmac.Equal([]byte(ss.proof(id, r.Proof)), []byte(mac))
		})
	}
	if r := fromStore(); r != nil {
		return r
	}
	if old, ok := ss.h.living.Load(id); ok {
		if r := old.(*client).giveUp(id, mac); r != nil {
			return r
		}
	}
	return fromStore() // it ended just now
}

// setID sets the id by which the session can be taken from now on.
func (c *client) setID(id, proof string) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	c.h.living.CompareAndDelete(c.id, c)
	c.id, c.proof = id, proof
	c.h.living.Store(id, c)
}

// giveUp ends the connection and returns its session, if it is the one that is meant and
// has not been taken. When it returns nil, a session that ended is in the store.
func (c *client) giveUp(id, mac string) *resumeState {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if c.id != id || !hmac.Equal([]byte(sessions{c.h}.proof(id, c.proof)), []byte(mac)) {
		return nil
	}
	r := c.resumeState()
	c.conn.Close(chat.Goodbye{})
	return r
}

// keep moves the session of a connection that has ended into the store. It is found here
// until it is there.
func (c *client) keep() {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if r := c.resumeState(); r != nil {
		c.h.resumable.put(r)
	}
	c.h.living.CompareAndDelete(c.id, c) // another connection may have resumed it
}

// owns reports whether the session belongs to the client's user. For a guest it
// says hello in the name that the session had, which can be refused, or fail (err).
func (c *client) owns(r *resumeState) (owns bool, err error) {
	if c.session.Authenticated() {
		user, _, _ := c.session.Speaker()
		return user == r.User, nil
	}
	if !r.Guest {
		return false, nil
	}
	c.hello, err = c.session.Greet(c.h.ctx, &wire.Command{Type: wire.Hello, User: r.User, Name: r.Name})
	return err == nil, err
}

// resumeState is what to keep of the client. It is returned once; then, and when
// there is nothing to resume, it is nil. keeping is held.
func (c *client) resumeState() *resumeState {
	if c.saved.Swap(true) || c.id == "" || !c.session.Authenticated() {
		return nil
	}
	r := &resumeState{ID: c.id, Delivered: c.conn.Delivered(), Proof: c.proof}
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
