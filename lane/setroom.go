package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (b *batch) needSetRoom(c *change.SetRoom) {
	b.needRoom(c.Room)
	b.needMember(c.Room, c.By)
}

func (b *batch) applySetRoom(c *change.SetRoom) (change.Reply, error) {
	r := b.rooms[c.Room]
	if !r.exists {
		if c.Create == nil {
			_, _, err := b.roomBy(c.Room, c.By, c.Server)
			return change.Reply{}, err
		}
		if err := r.create(b, c.Create); err != nil {
			return change.Reply{}, err
		}
		r.Room = patched(r.Room, c)
		if !c.Server {
			r.Members++
			b.changeMember(r, chat.Member{Room: c.Room, User: c.By, Role: chat.RoleOwner, Since: b.now})
		}
		return change.Reply{Room: r.Room, Rev: r.Rev, Created: true, Changed: true}, nil
	}
	if !c.Server {
		_, role, err := b.roomBy(c.Room, c.By, c.Server)
		if err != nil {
			return change.Reply{}, err
		}
		if err := chat.CanSetRoom(role); err != nil {
			return change.Reply{}, err
		}
	}
	if n := patched(r.Room, c); n != r.Room {
		r.Room = n
		ev := &chat.Event{Kind: chat.EventRoom}
		r.InfoRev = b.bump(r, ev)
		info := r.Room
		ev.Info = &info
		return change.Reply{Room: info, Rev: r.Rev, Changed: true}, nil
	}
	return change.Reply{Room: r.Room, Rev: r.Rev}, nil
}

// patched is the room with what the change sets.
func patched(r chat.Room, c *change.SetRoom) chat.Room {
	set(&r.Title, c.Title)
	set(&r.Open, c.Open)
	set(&r.ReadOnly, c.ReadOnly)
	set(&r.Archived, c.Archived)
	set(&r.Topic, c.Topic)
	set(&r.Avatar, c.Avatar)
	set(&r.Data, c.Data)
	return r
}

// set replaces what dst points at, unless value is nil.
func set[T any](dst, value *T) {
	if value != nil {
		*dst = *value
	}
}
