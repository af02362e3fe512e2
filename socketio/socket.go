package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/engineio"
)

// Socket is one client in one namespace. Its methods may be called from any
// goroutine and from inside handlers. Handlers of all sockets of one connection
// run one after the other, and nothing is read from the client meanwhile.
type Socket struct {
	// Set once.
	nsp    *Namespace
	client *client
	id     string

	// Set by attach, before the socket can be found.
	pid       string // secret, for recovery
	recovered bool
	session   *session // that it resumes; nil later

	// Guarded by nsp.mu; written under the history's lock as well.
	connected bool
	ended     bool
	rooms     map[string]uint64 // and the position when it joined them

	// Guarded by the history's lock.
	since uint64 // everything up to here was received
	sent  uint64 // the last event it was sent

	data atomic.Pointer[any] // safe for any goroutine

	// Guarded by mu.
	mu   sync.Mutex
	auth json.RawMessage
	acks *acks     // nil before the first
	own  *handlers // nil before the first
	over bool      // no more acks
}

func (n *Namespace) newSocket(c *client, auth json.RawMessage) *Socket {
	s := &Socket{nsp: n, client: c, auth: auth}
	switch {
	case c.protocol() == 5:
		s.id = newID()
		s.claim()
	case n.name == "/":
		s.id = c.engine.ID()
	default:
		s.id = n.name + "#" + c.engine.ID()
	}
	return s
}

// newID returns 144 random bits.
func newID() string {
	var b [18]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID is the id of the socket. It is no secret, except with clients 1 and 2, where it
// is the id of the connection as well.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Protocol is the version of Socket.IO that the client speaks: 5, or 4 for clients 1 and 2.
func (s *Socket) Protocol() int { return s.client.protocol() }

// Auth is the object that the client joined with, {} if it gave none. For
// clients 1 and 2 it is made from the query of the namespace. It is nil after
// ForgetAuth.
func (s *Socket) Auth() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth
}

// ForgetAuth drops what the client joined with, which may be a token of some
// kilobytes, for programs that have taken from it what they need.
func (s *Socket) ForgetAuth() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth = nil
}

// Request is the handshake of the connection: headers and URL, no body; nil after
// engineio.Socket.ForgetRequest.
func (s *Socket) Request() *http.Request { return s.client.engine.Request() }

// Engine is the connection, for programs that write frames themselves.
func (s *Socket) Engine() *engineio.Socket { return s.client.engine }

// Writer is what Options.Writer made for the connection.
func (s *Socket) Writer() Writer { return s.client.out }

// Recovered reports whether the client resumed its socket and has missed nothing.
func (s *Socket) Recovered() bool { return s.recovered }

// Data is what SetData was given last, by this socket or by the one that it recovered.
func (s *Socket) Data() any {
	if p := s.data.Load(); p != nil {
		return *p
	}
	return nil
}

// SetData keeps a value of the program with the socket.
func (s *Socket) SetData(v any) { s.data.Store(&v) }

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool {
	s.nsp.mu.RLock()
	defer s.nsp.mu.RUnlock()
	return s.connected
}

// Join enters rooms. From inside a middleware it counts if the client is let in.
func (s *Socket) Join(rooms ...string) error { return s.nsp.join(s, rooms) }

// Leave leaves rooms.
func (s *Socket) Leave(rooms ...string) { s.nsp.leave(s, rooms) }

// Rooms are the rooms that the socket is in, in no order.
func (s *Socket) Rooms() []string {
	s.nsp.mu.RLock()
	defer s.nsp.mu.RUnlock()
	rooms := make([]string, 0, len(s.rooms))
	for room := range s.rooms {
		rooms = append(rooms, room)
	}
	return rooms
}

// Emit sends an event; see NewMessage for the arguments. A client that does not
// keep up is disconnected and ErrFull returned.
func (s *Socket) Emit(name string, args ...any) error {
	m, err := NewMessage(name, args...)
	if err != nil {
		return err
	}
	return s.Send(m)
}

// Send sends an event.
func (s *Socket) Send(m Message) error {
	if !s.Connected() {
		return ErrClosed
	}
	return s.nsp.deliver(&address{ids: []string{s.id}}, m, false)
}

// To addresses the members of rooms without this socket.
func (s *Socket) To(rooms ...string) Broadcast { return s.nsp.To(rooms...).ExceptID(s.id) }

// Broadcast addresses the whole namespace without this socket.
func (s *Socket) Broadcast() Broadcast { return s.nsp.All().ExceptID(s.id) }

// Volatile addresses this socket with events that may be dropped.
func (s *Socket) Volatile() Broadcast { return s.nsp.ToID(s.id).Volatile() }

// Disconnect makes the client leave the namespace. It does not come back by
// itself. With all it leaves all namespaces and the connection ends.
func (s *Socket) Disconnect(all bool) {
	sockets := []*Socket{s}
	if all && s.Connected() {
		s.client.mu.Lock()
		sockets = slices.Clone(s.client.sockets)
		s.client.mu.Unlock()
	} else {
		all = false
	}
	for _, s := range sockets {
		if notify := s.end(ReasonServerDisconnect); notify != nil {
			_ = s.client.report(s.client.send(encode(&Packet{Type: TypeDisconnect, Namespace: s.nsp.name}), false))
			s.client.handlers.later(notify)
		}
	}
	if all {
		s.client.shut(ReasonForcedClose)
	}
}

// admit runs the middleware.
func (s *Socket) admit() error {
	if s.session != nil && s.nsp.srv.opts.Recovery.SkipMiddleware {
		return nil
	}
	for _, f := range s.nsp.middleware {
		err := error(&ConnectError{Message: "Internal error"}) // unless f returns
		s.guard("Use", func() { err = f(s) })
		if err != nil {
			return err
		}
	}
	return nil
}

// end takes the socket out of its namespace. It returns the call of the handlers,
// which run one at a time, or nil when the socket has ended before or never began.
func (s *Socket) end(reason string) (notify func()) {
	if !s.nsp.detach(s, reason) {
		return nil
	}
	s.client.forget(s, reason == ReasonServerDisconnect)
	return s.onDisconnect(reason)
}

// onDisconnect returns the call of the OnDisconnect handlers.
func (s *Socket) onDisconnect(reason string) func() {
	return func() {
		s.dropAcks()
		for _, f := range s.nsp.onDisconnect {
			s.guard("OnDisconnect", func() { f(s, reason) })
		}
	}
}

// guard keeps a panic in a handler to this socket.
func (s *Socket) guard(call string, f func()) {
	if !s.nsp.srv.guard(call, f) {
		s.Disconnect(false)
	}
}

// guard calls f, recovers its panic, and reports whether it returned.
func (s *Server) guard(call string, f func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			s.counts.panics.Report(s.opts.Log, v, "call", call)
		}
	}()
	f()
	return true
}
