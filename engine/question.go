package engine

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

const (
	// questionCost is what a question costs besides the bytes of its answer, in bytes
	// of Rates.Read: about the time that it takes.
	questionCost = 1 << 10
	// readsAtOnce and readsWaiting bound the questions of one user that are answered,
	// and that wait for that, at the same time.
	readsAtOnce  = 4
	readsWaiting = 64
)

// question answers a question of the actor and charges it (Rates.Read). Errors
// besides those of do: RateLimited, Busy.
func question[R wire.Reply](ctx context.Context, e *Engine, a *Actor, do func(context.Context) (R, error)) (reply R, err error) {
	if a.Server {
		return within(ctx, e, do)
	}
	if err := e.rates.read.Check(a.User); err != nil {
		e.rates.read.Refused()
		return reply, err
	}
	reply, err = within(ctx, e, func(ctx context.Context) (reply R, err error) {
		if err := e.reads.Acquire(ctx, a.User); err != nil {
			return reply, err
		}
		defer e.reads.Release(a.User)
		return do(ctx)
	})
	if err != nil {
		return reply, err // the transport tells of it by Refused
	}
	e.charge(a, size(reply))
	return reply, nil
}

// charge spends what an answer of so many bytes costs.
func (e *Engine) charge(a *Actor, bytes int) {
	if !a.Server {
		e.rates.read.Spend(a.User, questionCost+bytes)
	}
}

// Refused charges the actor for a command that was refused, which costs as much as a
// question. Transports call it, once for each. What was refused by a rate costs
// nothing, or a client that does not wait would never be heard again.
func (e *Engine) Refused(a Actor, kind chat.Kind) {
	if kind != chat.RateLimited {
		e.charge(&a, 0)
	}
}

// Ping answers nothing, and is charged as a question. Errors: RateLimited, Busy.
func (e *Engine) Ping(ctx context.Context, a Actor) (*wire.DoneReply, error) {
	return question(ctx, e, &a, func(context.Context) (*wire.DoneReply, error) { return &wire.DoneReply{}, nil })
}

// History returns a page of messages in ascending Seq: before, after or around a
// number, from the start, or the newest. 10 unless the page says how many, fewer
// where they are large (pageBytes).
func (e *Engine) History(ctx context.Context, a Actor, room chat.RoomID, p store.Page, at Around) (*wire.HistoryReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.HistoryReply, error) { return e.history(ctx, &a, room, p, at) })
}

// Changes returns what changed in the room after a rev, as far as it fits into one
// answer.
func (e *Engine) Changes(ctx context.Context, a Actor, room chat.RoomID, after chat.Rev, limit int) (*wire.ChangesReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.ChangesReply, error) { return e.changes(ctx, &a, room, after, limit) })
}

// Members returns the room's members in ascending user id after the given one: those
// with the role, or with RoleNone all. Which users are banned is told to moderators
// alone; bans that have ended are left out.
func (e *Engine) Members(ctx context.Context, a Actor, room chat.RoomID, role chat.Role, after chat.UserID, limit int) (*wire.MembersReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.MembersReply, error) {
		return e.members(ctx, &a, room, role, after, limit)
	})
}

// Online returns the users who are online in the room, and how many there are.
func (e *Engine) Online(ctx context.Context, a Actor, room chat.RoomID, limit int) (*wire.OnlineReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.OnlineReply, error) { return e.online(ctx, &a, room, limit) })
}

// Rooms returns the rooms that the actor is a member of, with what is unread and
// the newest message, in pages.
func (e *Engine) Rooms(ctx context.Context, a Actor, o RoomsOptions) (*wire.RoomsReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.RoomsReply, error) { return e.userRooms(ctx, &a, o) })
}

// GetRoom returns the room itself.
func (e *Engine) GetRoom(ctx context.Context, a Actor, room chat.RoomID) (*wire.RoomReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.RoomReply, error) { return e.getRoom(ctx, &a, room) })
}

// Unread returns what is unread for the actor in all rooms together, and the rooms
// with something unread in ascending id. Archived rooms do not count.
func (e *Engine) Unread(ctx context.Context, a Actor) (*wire.UnreadReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.UnreadReply, error) { return e.allUnread(ctx, &a) })
}

// Users returns what is known of the users, in the order asked; those of which
// nothing was ever said are left out. More says that those behind the last one were
// not looked at. Every actor may ask. Errors: Invalid, TooLarge.
func (e *Engine) Users(ctx context.Context, a Actor, users []chat.UserID) (*wire.UsersReply, error) {
	return question(ctx, e, &a, func(ctx context.Context) (*wire.UsersReply, error) { return e.users(ctx, users) })
}

// size is about how many bytes a reply has, or what it costs beyond them.
func size(r wire.Reply) int {
	switch r := r.(type) {
	case *wire.HistoryReply:
		return sum(r.Messages, (*chat.Message).Size)
	case *wire.ChangesReply:
		return sum(r.Delta.Messages, (*chat.Message).Size) + sum(r.Delta.Members, (*chat.Member).Size)
	case *wire.JoinReply:
		return sum(r.Messages, (*chat.Message).Size) + sum(r.Members, (*chat.Member).Size)
	case *wire.MembersReply:
		return sum(r.Members, (*chat.Member).Size)
	case *wire.OnlineReply:
		return sum(r.Users, func(u *chat.UserID) int { return len(*u) })
	case *wire.UsersReply:
		return sum(r.Users, (*chat.User).Size)
	case *wire.DevicesReply:
		return len(r.Devices) * 128
	case *wire.PushReply:
		return len(r.Settings) * 128
	case *wire.UnreadReply:
		return len(r.Rooms) * roomCost
	case *wire.RoomsReply:
		return sum(r.Rooms, func(m *wire.MyRoom) int { return max(roomCost, entrySize(m)) })
	}
	return 0
}

func sum[T any](list []T, size func(*T) int) (n int) {
	for i := range list {
		n += size(&list[i])
	}
	return n
}

// roomCost is what a room in a list costs: a look into its shard.
const roomCost = 512
