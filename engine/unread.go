package engine

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// What is unread is counted as store.UnreadRange says. A mark that lies further back than
// store.UnreadWindow is answered with More.

// mark is how far a user has read in a room, and the room's newest message.
type mark struct {
	room       chat.RoomID
	read, last chat.Seq
}

// countUnread counts for each of a user's marks, in their order. Rooms with nothing
// new are not asked; first says whether to find the first message that was counted.
func (e *Engine) countUnread(ctx context.Context, user chat.UserID, marks []mark, first bool) ([]wire.UnreadCount, error) {
	out := make([]wire.UnreadCount, len(marks))
	var ranges []store.Range
	var at []int
	for i, m := range marks {
		if m.read >= m.last {
			continue
		}
		r, more := store.UnreadRange(m.room, user, m.read, m.last)
		r.First, out[i].More = first, more
		ranges, at = append(ranges, r), append(at, i)
	}
	if len(ranges) == 0 {
		return out, nil
	}
	counted, err := e.cfg.Store.Others(ctx, ranges)
	for i, c := range counted {
		out[at[i]].Count, out[at[i]].From = int64(c.Count), c.First
	}
	return out, err
}

// unreadIn fills in what is unread for the user in reply.Room, and where it begins. The
// caller has one of the permits of the room's shard, or limiter is nil.
func (e *Engine) unreadIn(ctx context.Context, limiter *limit.Limiter, user chat.UserID, reply *wire.JoinReply) error {
	if user == "" {
		return nil
	}
	id := reply.Room.ID
	u, err := e.userRoom(ctx, limiter, user, id)
	if err != nil && chat.KindOf(err) != chat.NotFound {
		return err
	}
	counted, err := e.countUnread(ctx, user, []mark{{id, u.Read, reply.Seq}}, true)
	if err != nil {
		return err
	}
	reply.Read, reply.Unread = u.Read, counted[0]
	if !counted[0].More {
		return nil
	}
	// The first one lies before what was counted.
	end := u.Read + store.UnreadWindow
	first, err := e.cfg.Store.Others(ctx, []store.Range{{Room: id, User: user, From: u.Read, To: end, First: true}})
	if err != nil {
		return err
	}
	if reply.Unread.From = first[0].First; reply.Unread.From == 0 {
		reply.Unread.From = end + 1
	}
	return nil
}

// userRoom reads what a user keeps of a room. Where that is in another shard than the
// room, it may be down while the room's is not: the permit is given to others meanwhile.
func (e *Engine) userRoom(ctx context.Context, limiter *limit.Limiter, user chat.UserID, room chat.RoomID) (u store.UserRoom, err error) {
	db := e.cfg.Store.User(user)
	other := e.lookups.of(user.Slot())
	if limiter == nil || limiter == e.joins.of(user.Slot()) {
		return db.UserRoom(ctx, user, room)
	}
	busy := limiter.Yield(func() {
		if err = other.Acquire(ctx); err != nil {
			return
		}
		defer other.Release()
		u, err = db.UserRoom(ctx, user, room)
	})
	if busy != nil {
		return u, busy
	}
	return u, err
}

// allUnread leaves out rooms that the user is not in any more, as myRooms does.
func (e *Engine) allUnread(ctx context.Context, a *Actor) (*wire.UnreadReply, error) {
	mine, more, err := e.allRooms(ctx, a.User)
	if err != nil {
		return nil, err
	}
	rooms, err := e.roomsOf(ctx, mine, false)
	if err != nil {
		return nil, err
	}
	mine = slices.DeleteFunc(mine, func(u store.UserRoom) bool { return rooms[u.Room] == nil || u.Read >= rooms[u.Room].LastSeq })
	// Behind the rooms: what was posted after a membership had ended is not counted.
	roles, err := e.rolesOf(ctx, mine)
	if err != nil {
		return nil, err
	}
	marks := marksOf(mine, rooms, roles)
	counted, err := e.countUnread(ctx, a.User, marks, false)
	if err != nil {
		return nil, err
	}
	reply := &wire.UnreadReply{User: a.User}
	reply.Unread.More = more
	for i, u := range counted {
		if u.Count == 0 && !u.More {
			continue
		}
		reply.Unread.Count += u.Count
		reply.Unread.More = reply.Unread.More || u.More
		m := marks[i]
		reply.Rooms = append(reply.Rooms, wire.UnreadRoom{Room: m.room, Seq: m.last, Read: m.read, Unread: u})
	}
	return reply, nil
}

// marksOf returns the marks in the rooms in which the user has a role that reads.
func marksOf(mine []store.UserRoom, rooms map[chat.RoomID]*chat.Room, roles map[chat.RoomID]chat.Role) []mark {
	var marks []mark
	for _, u := range mine {
		if roles[u.Room].Present() {
			marks = append(marks, mark{u.Room, u.Read, rooms[u.Room].LastSeq})
		}
	}
	return marks
}
