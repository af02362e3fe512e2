package lane

import "github.com/roomtide/roomtide/chat"

// SetRoom changes a room, and makes it if there is none and Create is set. Nil
// fields stay as they are. Replies Room, Created, Changed. Errors: NotFound,
// NotMember, Forbidden.
type SetRoom struct {
	Room     chat.RoomID
	By       chat.UserID
	Server   bool // the host's back end: needs no role
	Create   *chat.Room
	Title    *string
	Open     *bool
	ReadOnly *bool
}

func (o *SetRoom) Slot() chat.Slot { return o.Room.Slot() }

func (o *SetRoom) size() int { return 512 }

func (o *SetRoom) need(b *batch) {
	b.needRoom(o.Room)
	b.needMember(o.Room, o.By)
}

func (o *SetRoom) apply(b *batch) (Reply, error) {
	r := b.rooms[o.Room]
	if !r.exists {
		if o.Create == nil {
			return Reply{}, chat.E(chat.NotFound, "there is no such room")
		}
		like := *o.Create
		o.change(&like)
		r.create(b, like)
		if !o.Server {
			r.Members++
			b.changeMember(r, chat.Member{Room: o.Room, User: o.By, Role: chat.RoleOwner, Since: b.now})
		}
		return Reply{Room: r.Room, Rev: r.Rev, Created: true, Changed: true}, nil
	}
	if !o.Server {
		role := b.member(o.Room, o.By).Role
		if err := chat.CanRead(role); err != nil {
			return Reply{}, err
		}
		if err := chat.CanSetRoom(role); err != nil {
			return Reply{}, err
		}
	}
	if changed := r.Room; o.change(&changed) {
		r.Title, r.Open, r.ReadOnly = changed.Title, changed.Open, changed.ReadOnly
		ev := &chat.Event{Kind: chat.EventRoom}
		r.InfoRev = b.bump(r, ev)
		info := r.Room
		ev.Info = &info
		return Reply{Room: info, Rev: r.Rev, Changed: true}, nil
	}
	return Reply{Room: r.Room, Rev: r.Rev}, nil
}

// change applies what is set and reports whether anything is different.
func (o *SetRoom) change(r *chat.Room) bool {
	before := *r
	if o.Title != nil {
		r.Title = *o.Title
	}
	if o.Open != nil {
		r.Open = *o.Open
	}
	if o.ReadOnly != nil {
		r.ReadOnly = *o.ReadOnly
	}
	return *r != before
}
