package socketio

// RoomChange is what happened to a room.
type RoomChange uint8

const (
	RoomCreated RoomChange = iota // its first member comes
	RoomJoined
	RoomLeft
	RoomDeleted // its last member has left
)

// RoomEvent is a change of the members of a room.
type RoomEvent struct {
	Change RoomChange
	Room   string
	Socket *Socket // that comes or leaves; nil when the room is created or deleted
}

// OnRoom adds a function that is told which rooms come and go, and who is in them. It
// runs soon after the change, for one change after the other, in their order, and
// should not wait: the changes queue up behind it.
func (n *Namespace) OnRoom(f func(RoomEvent)) { n.onRoom = append(n.onRoom, f) }

// Rooms are the rooms that have members, in no order.
func (n *Namespace) Rooms() []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	rooms := make([]string, 0, len(n.rooms))
	for room := range n.rooms {
		rooms = append(rooms, room)
	}
	return rooms
}

// Join makes the sockets that are addressed enter rooms.
func (b Broadcast) Join(rooms ...string) {
	for _, s := range b.Sockets() {
		_ = s.Join(rooms...) // it has left meanwhile
	}
}

// Leave makes the sockets that are addressed leave rooms.
func (b Broadcast) Leave(rooms ...string) {
	for _, s := range b.Sockets() {
		s.Leave(rooms...)
	}
}

// enter and exit keep the members of a room. mu is held.
func (n *Namespace) enter(room string, s *Socket) {
	members := n.rooms[room]
	if members == nil {
		members = map[*Socket]struct{}{}
		n.rooms[room] = members
		n.note(RoomEvent{RoomCreated, room, nil})
	}
	members[s] = struct{}{}
	n.note(RoomEvent{RoomJoined, room, s})
}

func (n *Namespace) exit(room string, s *Socket) {
	members := n.rooms[room]
	if _, in := members[s]; !in {
		return
	}
	delete(members, s)
	n.note(RoomEvent{RoomLeft, room, s})
	if len(members) == 0 {
		delete(n.rooms, room)
		n.note(RoomEvent{RoomDeleted, room, nil})
	}
}

// note queues an event for OnRoom. Its functions run on another goroutine: the caller
// holds locks. mu is held.
func (n *Namespace) note(e RoomEvent) {
	if len(n.onRoom) == 0 {
		return
	}
	n.roomEvents.later(func() {
		n.srv.guard("OnRoom", func() {
			for _, f := range n.onRoom {
				f(e)
			}
		})
	})
}
