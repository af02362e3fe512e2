package socketio

import (
	"errors"
	"slices"

	"github.com/roomtide/roomtide/engineio"
)

// Broadcast addresses sockets of a namespace. It is a value: each method returns
// a narrower or wider one and leaves the old one as it is.
//
//	n.To("red", "blue").Except("muted").Emit("news", 1)
type Broadcast struct {
	nsp      *Namespace
	to       address
	volatile bool
}

// address selects sockets of a namespace: all of them when neither rooms nor ids are
// given.
type address struct {
	rooms, ids             []string
	exceptRooms, exceptIDs []string
}

// All addresses the whole namespace.
func (n *Namespace) All() Broadcast { return Broadcast{nsp: n} }

// To addresses the members of rooms, each socket once.
func (n *Namespace) To(rooms ...string) Broadcast { return n.All().To(rooms...) }

// ToID addresses sockets by their id. An id is not a room: it cannot be joined.
func (n *Namespace) ToID(ids ...string) Broadcast { return n.All().ToID(ids...) }

// Emit sends an event to the whole namespace.
func (n *Namespace) Emit(name string, args ...any) error { return n.All().Emit(name, args...) }

// To adds the members of rooms.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.to.rooms = slices.Concat(b.to.rooms, rooms)
	return b
}

// ToID adds sockets by their id.
func (b Broadcast) ToID(ids ...string) Broadcast {
	b.to.ids = slices.Concat(b.to.ids, ids)
	return b
}

// Except leaves out the members of rooms.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.to.exceptRooms = slices.Concat(b.to.exceptRooms, rooms)
	return b
}

// ExceptID leaves out sockets by their id.
func (b Broadcast) ExceptID(ids ...string) Broadcast {
	b.to.exceptIDs = slices.Concat(b.to.exceptIDs, ids)
	return b
}

// Volatile makes an event one that is dropped for clients that are not ready
// for it, and that recovery does not repeat.
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Emit sends an event; see NewMessage for the arguments. An error is about the
// event. A client that is not reached, or is disconnected because it does not keep
// up, is a matter for OnDisconnect.
func (b Broadcast) Emit(name string, args ...any) error {
	m, err := NewMessage(name, args...)
	if err != nil {
		return err
	}
	return b.Send(m)
}

// Send sends an event. It is encoded once for all receivers.
func (b Broadcast) Send(m Message) error {
	err := b.nsp.deliver(&b.to, m, b.volatile)
	var bad *PacketError
	if errors.As(err, &bad) {
		return err
	}
	return nil
}

// Sockets returns the connected sockets that are addressed, in no order.
func (b Broadcast) Sockets() []*Socket { return b.nsp.receivers(&b.to) }

// Disconnect disconnects the sockets that are addressed; see Socket.Disconnect.
func (b Broadcast) Disconnect(all bool) {
	for _, s := range b.Sockets() {
		s.Disconnect(all)
	}
}

// deliver sends an event to all receivers. With recovery the history is locked
// throughout, so that every client gets events in the order of their positions.
func (n *Namespace) deliver(to *address, m Message, volatile bool) error {
	if err := m.check(TypeEvent); err != nil {
		return err
	}
	out := envelope{packet: Packet{Type: TypeEvent, Namespace: n.name, Message: m}}
	n.history.lock()
	n.history.record(to, &out, volatile)
	var slow []*client
	var last error
	receivers := n.receivers(to)
	for _, s := range receivers {
		if s.pid != "" && !volatile {
			s.sent = out.pos // whether it arrives or not
		}
		if err := s.client.send(out.For(s), volatile); err != nil {
			last = err
			if !errors.Is(err, ErrClosed) {
				slow = append(slow, s.client)
			}
		}
	}
	n.history.unlock()
	for _, c := range slow {
		_ = c.report(ErrFull)
	}
	n.tellOutgoing(&m, receivers...)
	return last
}

// envelope is one event in the two forms it may need, each encoded once.
type envelope struct {
	packet     Packet
	pos        uint64
	plain      []engineio.Message
	withOffset []engineio.Message // with an offset, for clients that may recover
}

// For is the form for one socket.
func (e *envelope) For(s *Socket) []engineio.Message {
	if s.pid != "" {
		return e.withOffset
	}
	if e.plain == nil {
		e.plain = encode(&e.packet)
	}
	return e.plain
}

// receivers returns the sockets that are addressed, each once.
func (n *Namespace) receivers(to *address) []*Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var list []*Socket
	switch {
	case len(to.rooms)+len(to.ids) == 0:
		list = make([]*Socket, 0, len(n.sockets))
		for _, s := range n.sockets {
			list = append(list, s)
		}
	case len(to.rooms)+len(to.ids) == 1:
		list = n.some(to, nil)
	default:
		list = n.some(to, map[*Socket]bool{})
	}
	if len(to.exceptRooms)+len(to.exceptIDs) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(s *Socket) bool { return to.excepts(s.id, s.rooms) })
}

// some collects rooms and ids, with the help of seen if something may come twice.
func (n *Namespace) some(to *address, seen map[*Socket]bool) (list []*Socket) {
	add := func(s *Socket) {
		if seen != nil {
			if seen[s] {
				return
			}
			seen[s] = true
		}
		list = append(list, s)
	}
	for _, room := range to.rooms {
		for s := range n.rooms[room] {
			add(s)
		}
	}
	for _, id := range to.ids {
		if s := n.sockets[id]; s != nil {
			add(s)
		}
	}
	return list
}

// excepts reports whether a socket is left out.
func (a *address) excepts(id string, rooms map[string]uint64) bool {
	return slices.Contains(a.exceptIDs, id) || slices.ContainsFunc(a.exceptRooms, func(room string) bool {
		_, in := rooms[room]
		return in
	})
}
