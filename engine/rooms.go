package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

const (
	// PageRooms is how many rooms one answer lists at most, and by default.
	PageRooms = 1000
	// maxRooms is how many rooms of a user are looked at to sort them by activity or
	// to count what is unread in all of them: the first by id.
	maxRooms = 10_000
	// headsAtOnce is how many rooms are read at once with their newest messages, which
	// bounds what a page has in memory beyond its size.
	headsAtOnce = 100
)

// RoomsOptions say which rooms to list.
type RoomsOptions struct {
	After    string // where the page before has ended: its Next
	Limit    int    // 0: 1000, which is also the most
	Order    string // "id" or "", or "activity": the newest message first
	Archived bool   // archived rooms as well

	// For ListRooms alone.
	Prefix string // of the id
	Open   *bool  // nil: both
}

func (e *Engine) userRooms(ctx context.Context, a *Actor, o RoomsOptions) (*wire.RoomsReply, error) {
	if a.User == "" {
		return nil, chat.E(chat.Invalid, "say for which user")
	}
	f, err := o.filter()
	if err != nil {
		return nil, err
	}
	reply := &wire.RoomsReply{}
	if f.Order == store.ByActivity {
		reply.Rooms, reply.Next, err = e.roomsByActivity(ctx, a.User, f)
	} else {
		reply.Rooms, reply.Next, err = e.roomsByID(ctx, a.User, f)
	}
	if err != nil {
		return nil, err
	}
	reply.More = reply.Next != ""
	for i := range reply.Rooms {
		a.hideKey(reply.Rooms[i].Last)
	}
	return reply, e.fillUnread(ctx, a.User, reply.Rooms)
}

// filter checks the options.
func (o *RoomsOptions) filter() (store.RoomFilter, error) {
	f := store.RoomFilter{Prefix: o.Prefix, Open: o.Open, Archived: o.Archived, Limit: page(o.Limit, PageRooms, PageRooms)}
	switch o.Order {
	case "", "id":
		f.After.Room = chat.RoomID(o.After)
	case "activity":
		f.Order = store.ByActivity
		if o.After == "" {
			break
		}
		active, room, ok := strings.Cut(o.After, " ")
		n, err := strconv.ParseInt(active, 10, 64)
		if err != nil || !ok {
			return f, chat.E(chat.Invalid, "after is not the next of a page in this order")
		}
		f.After = store.RoomCursor{Active: n, Room: chat.RoomID(room)}
	default:
		return f, chat.E(chat.Invalid, "order must be id or activity")
	}
	return f, nil
}

// next is what the page that ends with the room has for Next.
func next(o store.Order, r *chat.Room) string {
	if o == store.ByActivity {
		return strconv.FormatInt(r.Active, 10) + " " + string(r.ID)
	}
	return string(r.ID)
}

// roomsByID returns a page of a user's rooms in ascending id, and where the next
// one begins.
func (e *Engine) roomsByID(ctx context.Context, user chat.UserID, f store.RoomFilter) (out []wire.MyRoom, end string, err error) {
	space := store.Space{Items: f.Limit, Bytes: pageBytes}
	for after := f.After.Room; ; {
		mine, err := e.cfg.Store.User(user).UserRooms(ctx, user, after, headsAtOnce)
		if err != nil {
			return nil, "", err
		}
		rooms, err := e.myRooms(ctx, mine)
		if err != nil {
			return nil, "", err
		}
		for i := range rooms {
			if rooms[i].Room.Archived && !f.Archived {
				continue
			}
			if !space.Take(entrySize(&rooms[i])) {
				return out, string(out[len(out)-1].Room.ID), nil
			}
			out = append(out, rooms[i])
		}
		if len(mine) < headsAtOnce {
			return out, "", nil
		}
		after = mine[len(mine)-1].Room
	}
}

// roomsByActivity is roomsByID in the order of the newest message.
func (e *Engine) roomsByActivity(ctx context.Context, user chat.UserID, f store.RoomFilter) (out []wire.MyRoom, end string, err error) {
	mine, _, err := e.allRooms(ctx, user)
	if err != nil {
		return nil, "", err
	}
	rooms, err := e.roomsOf(ctx, mine, f.Archived)
	if err != nil {
		return nil, "", err
	}
	at := func(u store.UserRoom) store.RoomCursor { return store.CursorOf(rooms[u.Room]) }
	mine = slices.DeleteFunc(mine, func(u store.UserRoom) bool {
		return rooms[u.Room] == nil || f.After.Room != "" && at(u).Compare(f.Order, f.After) <= 0
	})
	slices.SortFunc(mine, func(a, b store.UserRoom) int { return at(a).Compare(f.Order, at(b)) })
	space := store.Space{Items: f.Limit, Bytes: pageBytes}
	for some := range slices.Chunk(mine, headsAtOnce) {
		page, err := e.myRooms(ctx, some)
		if err != nil {
			return nil, "", err
		}
		for i := range page {
			if !space.Take(entrySize(&page[i])) {
				// As it was when the rooms were sorted.
				return out, next(f.Order, rooms[out[len(out)-1].Room.ID]), nil
			}
			out = append(out, page[i])
		}
	}
	return out, "", nil
}

// entrySize is about how many bytes an entry of a list takes in an answer.
func entrySize(r *wire.MyRoom) int {
	const fixed = 80
	n := fixed + r.Room.Size()
	if r.Last != nil {
		n += r.Last.Size()
	}
	return n
}

// allRooms returns the first maxRooms of a user's rooms, and whether there are more.
func (e *Engine) allRooms(ctx context.Context, user chat.UserID) (mine []store.UserRoom, more bool, err error) {
	if user == "" {
		return nil, false, chat.E(chat.Invalid, "say for which user")
	}
	mine, err = e.cfg.Store.User(user).UserRooms(ctx, user, "", maxRooms+1)
	if more = len(mine) > maxRooms; more {
		mine = mine[:maxRooms]
	}
	return mine, more, err
}

func ids(mine []store.UserRoom) []chat.RoomID {
	out := make([]chat.RoomID, len(mine))
	for i := range mine {
		out[i] = mine[i].Room
	}
	return out
}

// roomsOf returns the rooms of a user that exist, without archived ones unless they
// are asked for.
func (e *Engine) roomsOf(ctx context.Context, mine []store.UserRoom, archived bool) (map[chat.RoomID]*chat.Room, error) {
	rooms, err := e.cfg.Store.Rooms(ctx, ids(mine))
	if err != nil {
		return nil, err
	}
	out := make(map[chat.RoomID]*chat.Room, len(rooms))
	for i := range rooms {
		if archived || !rooms[i].Archived {
			out[rooms[i].ID] = &rooms[i]
		}
	}
	return out, nil
}

// myRooms returns the entries of a list, in its order, without what is unread. A user's
// rooms follow memberships later: the rooms themselves say who reads them, and as what.
func (e *Engine) myRooms(ctx context.Context, mine []store.UserRoom) ([]wire.MyRoom, error) {
	heads, err := e.cfg.Store.Heads(ctx, ids(mine))
	if err != nil {
		return nil, err
	}
	// Behind the messages: what was posted after a membership had ended is not among them.
	roles, err := e.rolesOf(ctx, mine)
	if err != nil {
		return nil, err
	}
	out := make([]wire.MyRoom, 0, len(mine))
	for _, u := range mine {
		if h, ok := heads[u.Room]; ok && roles[u.Room].Present() {
			out = append(out, wire.MyRoom{Room: h.Room, Role: roles[u.Room], Read: u.Read, Last: h.Last})
		}
	}
	return out, nil
}

// rolesOf returns what a user's roles in the rooms are now, by the rows of the rooms.
func (e *Engine) rolesOf(ctx context.Context, mine []store.UserRoom) (map[chat.RoomID]chat.Role, error) {
	keys := make([]store.RowKey, len(mine))
	for i, u := range mine {
		keys[i] = store.KeyOf(&chat.Member{Room: u.Room, User: u.User})
	}
	rows, err := e.cfg.Store.RowsByKey(ctx, keys)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Now().UnixMilli()
	roles := make(map[chat.RoomID]chat.Role, len(rows.Members))
	for _, m := range rows.Members {
		roles[m.Room] = m.At(now).Role
	}
	return roles, nil
}

// fillUnread fills in what is unread for the user.
func (e *Engine) fillUnread(ctx context.Context, user chat.UserID, rooms []wire.MyRoom) error {
	marks := make([]mark, len(rooms))
	for i := range rooms {
		marks[i] = mark{rooms[i].Room.ID, rooms[i].Read, rooms[i].Room.LastSeq}
	}
	counted, err := e.countUnread(ctx, user, marks, false)
	for i := range counted {
		rooms[i].Unread = counted[i]
	}
	return err
}

// ListRooms returns rooms of all users, for the host's back end.
func (e *Engine) ListRooms(ctx context.Context, a Actor, o RoomsOptions) (*wire.RoomListReply, error) {
	if !a.Server {
		return nil, chat.E(chat.Forbidden, "only an API key may list all rooms")
	}
	f, err := o.filter()
	if err != nil {
		return nil, err
	}
	f.Limit++
	rooms, err := within(ctx, e, func(ctx context.Context) ([]chat.Room, error) { return e.cfg.Store.ListRooms(ctx, f) })
	if err != nil {
		return nil, err
	}
	reply := &wire.RoomListReply{Rooms: fit(rooms[:min(len(rooms), f.Limit-1)], pageBytes, (*chat.Room).Size)}
	if n := len(reply.Rooms); n < len(rooms) {
		reply.More, reply.Next = true, next(f.Order, &rooms[n-1])
	}
	return reply, nil
}

func (e *Engine) getRoom(ctx context.Context, a *Actor, room chat.RoomID) (*wire.RoomReply, error) {
	look, _, err := e.look(ctx, a, room)
	if err != nil {
		return nil, err
	}
	r, err := look.Room(ctx)
	if err != nil {
		return nil, err
	}
	return &wire.RoomReply{Room: &r}, nil
}
