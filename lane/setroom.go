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
			return change.Reply{}, chat.E(chat.NotFound, "there is no such room")
		}
		spec := patched(*c.Create, c)
		r.create(b, &spec)
		if !c.Server {
			r.Members++
			b.changeMember(r, chat.Member{Room: c.Room, User: c.By, Role: chat.RoleOwner, Since: b.now})
		}
		return change.Reply{Room: r.Room, Rev: r.Rev, Created: true, Changed: true}, nil
	}
	if !c.Server {
		role := b.member(c.Room, c.By).Role
		if err := chat.CanRead(role); err != nil {
			return change.Reply{}, err
		}
		if err := chat.CanSetRoom(role); err != nil {
			return change.Reply{}, err
		}
	}
	now := change.RoomSpec{Title: r.Title, Open: r.Open, ReadOnly: r.ReadOnly}
	if spec := patched(now, c); spec != now {
		r.Title, r.Open, r.ReadOnly = spec.Title, spec.Open, spec.ReadOnly
		ev := &chat.Event{Kind: chat.EventRoom}
		r.InfoRev = b.bump(r, ev)
		info := r.Room
		ev.Info = &info
		return change.Reply{Room: info, Rev: r.Rev, Changed: true}, nil
	}
	return change.Reply{Room: r.Room, Rev: r.Rev}, nil
}

// patched is the room with what the change sets.
func patched(spec change.RoomSpec, c *change.SetRoom) change.RoomSpec {
	if c.Title != nil {
		spec.Title = *c.Title
	}
	if c.Open != nil {
		spec.Open = *c.Open
	}
	if c.ReadOnly != nil {
		spec.ReadOnly = *c.ReadOnly
	}
	return spec
}
