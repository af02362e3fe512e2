package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// client is one connection and its sockets, at most one for each namespace.
type client struct {
	// Set once.
	srv      *Server
	engine   *engineio.Socket
	out      Writer
	handlers serial // handlers of all its sockets

	// Owned by receive.
	decoder  Decoder
	attached *time.Timer // runs while attachments are missing

	// Guarded by mu.
	mu      sync.Mutex
	dead    bool        // the connection has ended: what still arrives is ignored
	joining *time.Timer // until the first namespace is joined
	sockets []*Socket
	left    []string // namespaces the server disconnected it from: late packets for them are ignored
}

func newClient(s *Server, e *engineio.Socket) *client {
	c := &client{srv: s, engine: e, out: s.opts.Writer(e)}
	c.decoder = Decoder{Protocol: c.protocol(), MaxBytes: s.opts.MaxAttached}
	return c
}

// protocol is the version of Socket.IO that goes with the version of Engine.IO.
func (c *client) protocol() int {
	if c.engine.Protocol() == 3 {
		return 4
	}
	return 5
}

// open begins. In protocol 4 every client is in the main namespace without asking.
func (c *client) open() {
	c.mu.Lock()
	c.joining = time.AfterFunc(c.srv.opts.ConnectTimeout, func() {
		c.mu.Lock()
		idle := c.joining != nil
		c.mu.Unlock()
		if idle {
			c.shut(ReasonForcedClose)
		}
	})
	c.mu.Unlock()
	if c.protocol() == 4 {
		c.handlers.wait(func() { c.connect("/", noAuth) })
	}
}

// receive takes one message of the engine, one call at a time.
func (c *client) receive(m engineio.Message) {
	c.mu.Lock()
	dead := c.dead
	c.mu.Unlock()
	if dead {
		return
	}
	data := bytes.Clone(m.Data) // handlers may keep the arguments
	var p *Packet
	var err error
	if m.Binary {
		p, err = c.decoder.Binary(data)
	} else {
		p, err = c.decoder.Text(data)
	}
	c.watch()
	switch {
	case err != nil:
		c.shut(engineio.ReasonParseError)
	case p != nil:
		c.handlers.wait(func() { c.handle(p) })
	}
}

// watch bounds how long attachments may be missing.
func (c *client) watch() {
	switch waiting := c.decoder.Waiting(); {
	case waiting && c.attached == nil:
		c.attached = time.AfterFunc(c.srv.opts.AttachmentTimeout, func() { c.shut(engineio.ReasonParseError) })
	case !waiting && c.attached != nil:
		c.attached.Stop()
		c.attached = nil
	}
}

// handle does what a packet asks. Handlers of the connection run one at a time.
func (c *client) handle(p *Packet) {
	s, left := c.socket(p.Namespace)
	switch {
	case s == nil && p.Type == TypeConnect:
		c.connect(p.Namespace, auth(p))
	case s == nil && left:
	case s == nil, p.Type == TypeConnect, p.Type == TypeConnectError:
		c.shut(ReasonForcedClose)
	case p.Type == TypeDisconnect:
		if notify := s.end(ReasonClientDisconnect); notify != nil {
			notify()
		}
	case p.Type == TypeEvent:
		s.handle(p)
	case p.Type == TypeAck:
		s.acked(p)
	}
}

var noAuth = json.RawMessage("{}")

// auth is the object the client joins with: in protocol 4 it is made of the query.
func auth(p *Packet) json.RawMessage {
	if p.Data != nil {
		return p.Data
	}
	if p.Query == "" {
		return noAuth
	}
	values, _ := url.ParseQuery(p.Query) // what can be read counts
	last := make(map[string]string, len(values))
	for k, v := range values {
		last[k] = v[len(v)-1]
	}
	b, err := marshal(last)
	if err != nil { // strings can always be marshalled
		return noAuth
	}
	return b
}

// connect lets the client into a namespace, or refuses it with the reason.
func (c *client) connect(name string, auth json.RawMessage) {
	n := c.srv.namespace(name)
	if n == nil {
		c.refuse(name, invalidNamespace)
		return
	}
	s := n.newSocket(c, auth)
	if err := s.admit(); err != nil {
		c.refuse(name, err)
		return
	}
	s.resume()
	if !c.adopt(s) {
		n.history.putBack(s.session)
		return
	}
	n.attach(s)
	for _, f := range n.onConnect {
		s.guard("OnConnect", func() { f(s) })
	}
}

// refuse sends the client the reason why it may not join.
func (c *client) refuse(name string, err error) {
	p := &Packet{Type: TypeConnectError, Namespace: name, Data: connectErrorData(err, c.protocol())}
	c.report(c.send(encode(p), false))
}

// adopt takes a socket in, unless the connection has ended meanwhile.
func (c *client) adopt(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	if c.joining != nil {
		c.joining.Stop()
		c.joining = nil
	}
	c.sockets = append(c.sockets, s)
	c.left = slices.DeleteFunc(c.left, func(name string) bool { return name == s.nsp.name })
	return true
}

// forget takes a socket out. left says that the client has not heard of it yet: it may
// still send packets for it.
func (c *client) forget(s *Socket, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(other *Socket) bool { return other == s })
	if left && !slices.Contains(c.left, s.nsp.name) {
		c.left = append(c.left, s.nsp.name)
	}
}

func (c *client) socket(namespace string) (s *Socket, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.nsp.name == namespace {
			return s, false
		}
	}
	return nil, slices.Contains(c.left, namespace)
}

// encode makes the messages of a packet: its text, then its attachments.
func encode(p *Packet) []engineio.Message {
	ms := make([]engineio.Message, 1, 1+len(p.Attachments))
	ms[0].Data = AppendPacket(nil, p)
	for _, a := range p.Attachments {
		ms = append(ms, engineio.Message{Binary: true, Data: a})
	}
	return ms
}

// send queues messages of one packet. An error other than ErrClosed is to be
// reported when no lock is held.
func (c *client) send(ms []engineio.Message, volatile bool) error {
	if volatile && !c.writable() {
		c.srv.counts.dropped.Add(1)
		return nil
	}
	err := c.out.Send(ms...)
	switch {
	case errors.Is(err, engineio.ErrClosed):
		return ErrClosed
	case volatile && errors.Is(err, engineio.ErrFull):
		c.srv.counts.dropped.Add(1)
		return nil
	case errors.Is(err, engineio.ErrFull):
		return ErrFull
	}
	return err
}

// writable reports whether the client accepts what it is sent at once.
func (c *client) writable() bool {
	switch w := c.out.(type) {
	case interface{ Writable() bool }:
		return w.Writable()
	case *engineio.Socket:
		return w.WaitWritable(0) == nil
	}
	return true
}

// report ends a connection that did not accept what it was sent: what follows would
// have a gap. It returns err.
func (c *client) report(err error) error {
	if err != nil && !errors.Is(err, ErrClosed) {
		c.srv.counts.slow.Add(1)
		c.shut(engineio.ReasonTransportError)
	}
	return err
}

// shut ends the connection and all its sockets. Any goroutine, no locks held.
func (c *client) shut(reason string) {
	for _, s := range c.die() {
		if notify := s.end(reason); notify != nil {
			c.handlers.later(notify)
		}
	}
	c.out.Close(reason)
}

// finish is shut after the engine has ended. All handlers have returned when it
// does, so that Server.Close can wait for them. Not from inside a handler.
func (c *client) finish(reason string) {
	for _, s := range c.die() {
		if notify := s.end(reason); notify != nil {
			c.handlers.do(notify)
		}
	}
	c.handlers.wait(func() {
		if c.srv.opts.Closed != nil {
			c.srv.guard("Closed", func() { c.srv.opts.Closed(c.out, reason) })
		}
	})
}

// die stops the clocks and returns the sockets to end. An attachment clock that
// is not stopped does no harm.
func (c *client) die() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	if c.joining != nil {
		c.joining.Stop()
		c.joining = nil
	}
	return slices.Clone(c.sockets)
}
