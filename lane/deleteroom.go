package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (b *batch) needDeleteRoom(c *change.DeleteRoom) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.By)
}

func (b *batch) applyDeleteRoom(c *change.DeleteRoom) (change.Reply, error) {
	if r := b.rooms[c.Room]; r != nil && r.Deleted && c.Server {
		return change.Reply{Rev: r.Rev}, nil
	}
	r, role, err := b.roomBy(c.Room, c.By, c.Server)
	if err != nil {
		return change.Reply{}, err
	}
	if !c.Server {
		if err := chat.CanSetRoom(role); err != nil {
			return change.Reply{}, err
		}
	}
	ev := &chat.Event{Kind: chat.EventRoom}
	r.Deleted, r.exists = true, false
	r.LastSeq, r.Members = 0, 0
	r.InfoRev = b.bump(r, ev)
	info := r.Room
	ev.Info = &info
	return change.Reply{Rev: r.Rev, Changed: true}, nil
}

func (b *batch) needRemoveRoom(c *change.RemoveRoom) {
	b.needRoom(c.Room)
	if r := b.rooms[c.Room]; r == nil || r.Removing() { // not loaded yet, or known to be removed
		b.want.Removals = append(b.want.Removals, c.Room)
	}
}

// The rows to remove were loaded before the batch was decided. A room that is
// deleted in this very batch has changed since then, and its rows wait for the
// next one.
func (b *batch) applyRemoveRoom(c *change.RemoveRoom) (change.Reply, error) {
	r := b.rooms[c.Room]
	if !r.Removing() {
		return change.Reply{}, nil
	}
	if left := b.state.Removals[c.Room]; r.Rev == r.from && !left.Empty() {
		if b.removals == nil {
			b.removals = map[chat.RoomID]*store.Removal{}
		}
		b.removals[c.Room] = left
		b.touch(r)
	} else if r.Rev == r.from {
		r.Floor = r.Rev
		b.touch(r)
	}
	return change.Reply{Changed: true}, nil
}
