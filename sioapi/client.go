package sioapi

import (
	"encoding/json"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/socketio"
	"github.com/roomtide/roomtide/wire"
)

// maxBad is how many commands in a row may be bad, or sent before the client has
// identified itself.
const maxBad = 20

// client is one connection. It is also the socketio.Writer: what Socket.IO sends
// itself goes through the hub like everything else.
type client struct {
	// Set once.
	h       *Handler
	engine  *engineio.Socket
	conn    *hub.Conn
	session *session.Session
	from    netip.Prefix
	script  bool // its library seems to be the stock one, in JavaScript
	counted prometheus.Gauge

	// Safe for any goroutine.
	closed atomic.Bool // by the hub: nothing more is sent
	saved  atomic.Bool // resumeState has returned its state, or never will

	// Owned by the turn of the connection, in which Socket.IO calls its handlers.
	hello   *wire.HelloReply // sent when the client is connected
	late    *time.Timer      // ends a connection without hello
	bad     int              // bad commands in a row
	pending *connlimit.Place // nil once it has identified itself
	placed  bool             // has a place at the limiter

	// Set by admit, before the socket can be found.
	resumes bool // by Socket.IO's connection state recovery: it gets offsets

	// keeping is held while the session is on its way into the store of resumable ones, and
	// while another connection takes it.
	keeping sync.Mutex
	id      string // of the socket, to resume; written in the turn of the connection, by setID
	proof   string // of the id, where another node has signed it; set with id
}

func newClient(h *Handler, e *engineio.Socket) *client {
	r := e.Request()
	c := &client{h: h, engine: e, from: h.cfg.Network(r), script: isScript(r)}
	e.ForgetRequest()
	c.counted = h.metrics.connections(e)
	c.counted.Inc()
	c.conn = h.cfg.Hub.Attach(link{c}, Encoding{Deflate: e.Deflates(), Plain: true})
	c.session = h.cfg.Open(c.conn, Codec{Deflate: e.Deflates()}, r)
	if c.session.GuestsWelcome() {
		e.Trust() // its first request may be all that waits
	}
	c.pending = h.cfg.Pending.Enter(c.from, func() { c.conn.Close(chat.ByeBusy) })
	return c
}

// place takes the place of a client that has just identified itself, or need not. It had
// none before: places are not for floods of handshakes. The last one may have been taken
// since check.
func (c *client) place() {
	if c.pending == nil {
		return
	}
	c.pending.Leave()
	c.pending = nil
	if reason, _ := c.h.cfg.Conns.Acquire(c.from); reason != "" {
		c.h.metrics.refused.WithLabelValues(reason).Inc()
		c.conn.Close(chat.ByeBusy)
		return
	}
	c.placed = true
}

// admit lets a client in that has valid credentials, or none where guests are
// allowed.
func (c *client) admit(s *socketio.Socket) error {
	var cmd wire.Command
	err := wire.DecodeAs(wire.Hello, s.Auth(), &cmd)
	switch {
	case err != nil:
	case cmd.Token != "" || cmd.User != "":
		c.hello, err = c.session.Greet(c.h.ctx, &cmd)
	case !c.session.GuestsWelcome() && s.Protocol() > 4:
		err = chat.E(chat.Unauthed, "a token is needed: connect with auth: {token}")
	}
	if err == nil {
		if c.session.Authenticated() {
			c.engine.Trust()
		}
		c.setResumes(s)
		return nil
	}
	c.count(false)
	c.fault(err)
	e := chat.Public(err)
	return &socketio.ConnectError{Message: e.Text, Data: json.RawMessage(wire.AppendError(nil, nil, e))}
}

// fault ends the connection if the client was not let in by a fault that may pass. Stock
// clients try again by themselves when a connection ends, with the pid that they have, and
// not when they are refused. Nothing is sent behind this: no refusal, and no other pid.
func (c *client) fault(err error) {
	if err == nil {
		return
	}
	kind := chat.KindOf(err)
	if kind == chat.Internal {
		c.h.cfg.Log.Error("a client could not be let in", "err", err)
	}
	if kind == chat.Internal || kind.Retryable() {
		c.conn.Close(chat.Goodbye{})
	}
}

// connected runs behind the CONNECT: the client gets what the ack of hello holds.
func (c *client) connected(s *socketio.Socket) {
	s.ForgetAuth()
	if c.hello != nil {
		c.conn.Send(socketio.AppendEvent(nil, "/", "hello", wire.AppendAck(nil, 0, false, c.hello)))
		c.hello = nil
		c.place()
	} else if c.session.GuestsWelcome() {
		c.place()
	} else {
		c.late = time.AfterFunc(c.h.cfg.Hello, func() { c.conn.Close(chat.ByeNoHello) })
	}
	c.recovered()
}

// command hands an event of the client to the session.
func (c *client) command(ev *socketio.Event) {
	ok := false
	defer func() {
		if !ok { // it panicked; Socket.IO counts that and logs it
			c.conn.Close(chat.ByeInternal)
		}
	}()
	c.handle(ev)
	ok = true
}

func (c *client) handle(ev *socketio.Event) {
	cmd := new(wire.Command)
	err := decode(ev, cmd)
	id, wants := ev.AckID()
	cmd.ID, cmd.HasID = int64(id), wants
	if err != nil {
		c.session.BadFrame(cmd, err)
		c.count(false)
		return
	}
	c.session.Handle(c.h.ctx, cmd)
	known := c.session.Authenticated()
	if known {
		c.engine.Trust()
	}
	if known && c.late != nil {
		c.late.Stop()
		c.late = nil
		c.place()
	}
	c.count(known)
}

// decode reads the command that an event is. One without arguments has no fields, and
// an argument that is no object may be the field that is enough (wire.DecodeAs).
func decode(ev *socketio.Event, cmd *wire.Command) error {
	if len(ev.Attachments) > 0 {
		return chat.E(chat.Invalid, "chat has no binary arguments")
	}
	object := []byte("{}")
	if len(ev.Args) > 0 {
		object = ev.Args[0]
	}
	return wire.DecodeAs(wire.Type(ev.Name), object, cmd)
}

// count ends a connection whose commands are all bad.
func (c *client) count(good bool) {
	if c.bad++; good {
		c.bad = 0
	}
	if c.bad > maxBad {
		c.conn.Close(chat.ByeProtocol)
	}
}

// left ends the connection of a client that left the namespace: there is one
// conversation a connection. One that left on purpose is not resumable.
func (c *client) left(reason string) {
	if reason == socketio.ReasonClientDisconnect {
		c.saved.Store(true)
	}
	c.conn.Close(chat.Goodbye{})
}

// TooLarge ends the connection of a client that sent more than it may
// (socketio.TooLargeWriter). It would send the same again if it came back.
func (c *client) TooLarge() { c.conn.Close(chat.ByeTooLarge) }

// gone releases everything. The connection has ended.
func (c *client) gone() {
	defer c.conn.Detach()
	c.counted.Dec()
	if c.pending != nil {
		c.pending.Leave()
	}
	if c.placed {
		c.h.cfg.Conns.Release(c.from)
	}
	if c.late != nil {
		c.late.Stop()
	}
	c.keep()
	c.session.Close()
}

// Send queues what Socket.IO itself sends (socketio.Writer). Nothing of it is
// binary: chat sends no attachments.
func (c *client) Send(ms ...engineio.Message) error {
	if c.closed.Load() {
		return engineio.ErrClosed
	}
	for _, m := range ms {
		c.conn.Send(engineio.AppendFrame(nil, m.Data))
	}
	return nil
}

// Close ends the connection behind what was sent (socketio.Writer).
func (c *client) Close(string) { c.conn.Close(chat.Goodbye{}) }
