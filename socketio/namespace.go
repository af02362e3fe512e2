package socketio

import (
	"encoding/json"
	"errors"
	"maps"
	"sync"

	"github.com/roomtide/roomtide/engineio"
)

// Namespace is a part of a server with members, rooms and handlers of its own,
// over the same connections as the others. The methods that set handlers are
// called before the server serves; the other ones by any goroutine.
type Namespace struct {
	// Set before serving.
	srv          *Server
	name         string
	middleware   []func(*Socket) error
	onConnect    []func(*Socket)
	onDisconnect []func(*Socket, string)
	onAny        []func(*Socket, *Event)
	onOutgoing   []func(*Socket, *Message)
	onRefused    []func(*Socket, *Event, error)
	onRoom       []func(RoomEvent)
	filters      []func(*Socket, *Event) error
	on           map[string][]func(*Socket, *Event)
	history      *history // nil without recovery; locked before mu
	sessions     Sessions // nil without a recovery of the program's own

	roomEvents serial // calls of onRoom

	// Guarded by mu.
	mu      sync.RWMutex
	sockets map[string]*Socket
	rooms   map[string]map[*Socket]struct{}
}

func newNamespace(s *Server, name string) *Namespace {
	n := &Namespace{
		srv: s, name: name, on: map[string][]func(*Socket, *Event){},
		sockets: map[string]*Socket{}, rooms: map[string]map[*Socket]struct{}{},
	}
	n.history = newHistory(s, n)
	return n
}

// ConnectError refuses a client, with data for the program on the other side.
type ConnectError struct {
	Message string
	Data    any
}

func (e *ConnectError) Error() string { return e.Message }

// Use adds middleware: a function that decides about the admission of a socket. All of them run, in order,
// until one returns an error, which is sent to the client: the Message and Data of
// a *ConnectError, the text of any other error. Meanwhile nothing is read from the client.
func (n *Namespace) Use(f func(*Socket) error) { n.middleware = append(n.middleware, f) }

// OnConnect adds a function that runs when a client has joined.
func (n *Namespace) OnConnect(f func(*Socket)) { n.onConnect = append(n.onConnect, f) }

// OnDisconnect adds a function that runs, once, when a socket that was connected
// has ended. Its rooms and data can still be read.
func (n *Namespace) OnDisconnect(f func(s *Socket, reason string)) {
	n.onDisconnect = append(n.onDisconnect, f)
}

// On adds a function that runs for every event with that name.
func (n *Namespace) On(name string, f func(*Socket, *Event)) { n.on[name] = append(n.on[name], f) }

// OnAny adds a function that runs for every event, before those of On.
func (n *Namespace) OnAny(f func(*Socket, *Event)) { n.onAny = append(n.onAny, f) }

// UseEvent adds middleware for events: all such functions run, in order, before any
// other of the event, until one returns an error, which stops the event. OnRefused gets
// it; the client gets what the function sent it (Event.Ack).
func (n *Namespace) UseEvent(f func(*Socket, *Event) error) { n.filters = append(n.filters, f) }

// OnRefused adds a function that runs for an event that UseEvent has stopped.
func (n *Namespace) OnRefused(f func(*Socket, *Event, error)) { n.onRefused = append(n.onRefused, f) }

// OnAnyOutgoing adds a function that runs for every event to every socket when it has
// been queued for it, on the goroutine that sends. It must not change the message.
func (n *Namespace) OnAnyOutgoing(f func(*Socket, *Message)) { n.onOutgoing = append(n.onOutgoing, f) }

func (n *Namespace) tellOutgoing(m *Message, to ...*Socket) {
	for _, f := range n.onOutgoing {
		for _, s := range to {
			n.srv.guard("OnAnyOutgoing", func() { f(s, m) })
		}
	}
}

// Name is the name, "/" for the main namespace.
func (n *Namespace) Name() string { return n.name }

// Len is the number of sockets now.
func (n *Namespace) Len() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.sockets)
}

// Socket returns the connected socket with that id, or nil.
func (n *Namespace) Socket(id string) *Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.sockets[id]
}

// Sockets returns all connected sockets, in no order.
func (n *Namespace) Sockets() []*Socket { return n.All().Sockets() }

// attach makes an admitted socket a member: from its CONNECT on it gets all that is
// sent to it, and nothing before.
func (n *Namespace) attach(s *Socket) { _ = s.client.report(n.welcome(s)) }

func (n *Namespace) welcome(s *Socket) error {
	n.history.lock()
	defer n.history.unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.history.welcome(s)
	if s.recovered && s.session != nil {
		if s.rooms == nil {
			s.rooms = map[string]uint64{}
		}
		maps.Copy(s.rooms, s.session.rooms)
	}
	s.connected, s.session = true, nil
	n.sockets[s.id] = s
	for room := range s.rooms {
		n.enter(room, s)
	}
	return err
}

// detach takes a socket out and reports whether it was in. With recovery it
// keeps the session.
func (n *Namespace) detach(s *Socket, reason string) bool {
	n.history.lock()
	defer n.history.unlock()
	if !n.remove(s) {
		return false
	}
	n.history.depart(s, reason)
	return true
}

// remove takes a socket out and reports whether it was in.
func (n *Namespace) remove(s *Socket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.connected {
		return false
	}
	s.connected, s.ended = false, true
	if n.sockets[s.id] == s {
		delete(n.sockets, s.id)
	}
	for room := range s.rooms {
		n.exit(room, s)
	}
	return true
}

// join and leave are the rooms of a socket. A socket that is not connected yet
// enters its rooms when it is.
func (n *Namespace) join(s *Socket, rooms []string) error {
	n.history.lock()
	defer n.history.unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	if s.rooms == nil {
		s.rooms = map[string]uint64{}
	}
	for _, room := range rooms {
		if _, in := s.rooms[room]; in {
			continue
		}
		s.rooms[room] = n.history.position()
		if s.connected {
			n.enter(room, s)
		}
	}
	return nil
}

func (n *Namespace) leave(s *Socket, rooms []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.ended {
		return
	}
	for _, room := range rooms {
		if _, in := s.rooms[room]; in {
			delete(s.rooms, room)
			n.exit(room, s)
		}
	}
}

// connectErrorData is the payload of a CONNECT_ERROR: an object in protocol 5,
// the data or the text in protocol 4.
func connectErrorData(err error, protocol int) json.RawMessage {
	var e *ConnectError
	if !errors.As(err, &e) {
		e = &ConnectError{Message: err.Error()}
	}
	var payload any = struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{e.Message, e.Data}
	if protocol == 4 && e != invalidNamespace {
		if payload = e.Data; payload == nil {
			payload = e.Message
		}
	}
	b, err := marshal(payload)
	if err != nil {
		b, _ = marshal(map[string]string{"message": e.Message}) // strings can always be marshalled
	}
	return b
}

// invalidNamespace refuses an unknown namespace, in all versions.
var invalidNamespace = &ConnectError{Message: "Invalid namespace"}

// connectPacket is the CONNECT of the server: the client has joined.
func connectPacket(s *Socket) []engineio.Message {
	p := &Packet{Type: TypeConnect, Namespace: s.nsp.name}
	if s.client.protocol() == 5 {
		p.Data = append(appendString([]byte(`{"sid":`), s.id), '}')
		if pid := s.secret(); pid != "" {
			p.Data = append(appendString(append(p.Data[:len(p.Data)-1], `,"pid":`...), pid), '}')
		}
	}
	return encode(p)
}
