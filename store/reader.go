package store

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Reader reads one shard. Its methods are those of Driver with the same names,
// where they are specified, unless they say something else here. Errors are
// *chat.Error and name the shard. A call takes no longer than its bound
// (Bounds).
//
// While slots move, a shard holds rows of slots that it does not own: a copy that is
// not in force yet, or what is left of slots that are elsewhere now. ListRooms,
// MessagesBy, EachMember and Check pass over them.
type Reader struct {
	caller
	driver Driver
	owns   func(chat.Slot) bool // whether the shard owns the slot now
}

// Name is the name of the shard in the slot map.
func (r *Reader) Name() string { return r.name }

func (r *Reader) Room(ctx context.Context, room chat.RoomID) (chat.Room, error) {
	return ask(ctx, r, "room", func(ctx context.Context) (chat.Room, error) { return r.driver.Room(ctx, room) })
}

func (r *Reader) Heads(ctx context.Context, rooms []chat.RoomID) ([]Head, error) {
	return ask(ctx, r, "heads", func(ctx context.Context) ([]Head, error) { return r.driver.Heads(ctx, rooms) })
}

func (r *Reader) Rooms(ctx context.Context, rooms []chat.RoomID) ([]chat.Room, error) {
	return ask(ctx, r, "rooms", func(ctx context.Context) ([]chat.Room, error) { return r.driver.Rooms(ctx, rooms) })
}

func (r *Reader) ListRooms(ctx context.Context, f RoomFilter) ([]chat.Room, error) {
	var out []chat.Room
	for {
		page, err := ask(ctx, r, "list_rooms", func(ctx context.Context) ([]chat.Room, error) { return r.driver.ListRooms(ctx, f) })
		if err != nil {
			return nil, err
		}
		whole := len(page)
		if whole > 0 {
			f.After = CursorOf(&page[whole-1])
		}
		page = slices.DeleteFunc(page, func(room chat.Room) bool { return !r.owns(room.ID.Slot()) })
		switch f.Limit -= len(page); {
		case out == nil:
			out = page
		default:
			out = append(out, page...)
		}
		if len(page) == whole || f.Limit <= 0 {
			return out, nil
		}
	}
}

func (r *Reader) Others(ctx context.Context, ranges []Range) ([]Others, error) {
	return ask(ctx, r, "others", func(ctx context.Context) ([]Others, error) { return r.driver.Others(ctx, ranges) })
}

func (r *Reader) MessagesBy(ctx context.Context, user chat.UserID, after MessageRef, limit int) (found []MessageRef, last MessageRef, err error) {
	err = r.do(ctx, "messages_by", func(ctx context.Context) (err error) {
		found, last, err = r.driver.MessagesBy(ctx, user, after, limit)
		return err
	})
	found = slices.DeleteFunc(found, func(m MessageRef) bool { return !r.owns(m.Room.Slot()) })
	return found, last, err
}

func (r *Reader) Messages(ctx context.Context, room chat.RoomID, p Page) (ms []chat.Message, more bool, err error) {
	err = r.do(ctx, "messages", func(ctx context.Context) (err error) {
		ms, more, err = r.driver.Messages(ctx, room, p)
		return err
	})
	return ms, more, err
}

func (r *Reader) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	return ask(ctx, r, "member", func(ctx context.Context) (chat.Member, error) { return r.driver.Member(ctx, room, user) })
}

func (r *Reader) Members(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID, limit int) ([]chat.Member, error) {
	return ask(ctx, r, "members", func(ctx context.Context) ([]chat.Member, error) {
		return r.driver.Members(ctx, room, role, after, limit)
	})
}

func (r *Reader) Online(ctx context.Context, room chat.RoomID, limit int) ([]OnlineEntry, error) {
	return ask(ctx, r, "online", func(ctx context.Context) ([]OnlineEntry, error) { return r.driver.Online(ctx, room, limit) })
}

func (r *Reader) Sent(ctx context.Context, lane LaneID, key MessageKey) (m *chat.Message, queue uint64, err error) {
	err = r.do(ctx, "sent", func(ctx context.Context) (err error) {
		m, queue, err = r.driver.Sent(ctx, lane, key)
		return err
	})
	return m, queue, err
}

func (r *Reader) UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (UserRoom, error) {
	return ask(ctx, r, "user_room", func(ctx context.Context) (UserRoom, error) { return r.driver.UserRoom(ctx, user, room) })
}

func (r *Reader) Access(ctx context.Context, user chat.UserID) (chat.Access, error) {
	return ask(ctx, r, "access", func(ctx context.Context) (chat.Access, error) { return r.driver.Access(ctx, user) })
}

func (r *Reader) UserRooms(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) ([]UserRoom, error) {
	return ask(ctx, r, "user_rooms", func(ctx context.Context) ([]UserRoom, error) {
		return r.driver.UserRooms(ctx, user, after, limit)
	})
}

func (r *Reader) Users(ctx context.Context, users []chat.UserID) ([]chat.User, error) {
	return ask(ctx, r, "users", func(ctx context.Context) ([]chat.User, error) { return r.driver.Users(ctx, users) })
}

func (r *Reader) Devices(ctx context.Context, user chat.UserID) ([]chat.Device, error) {
	return ask(ctx, r, "devices", func(ctx context.Context) ([]chat.Device, error) { return r.driver.Devices(ctx, user) })
}

func (r *Reader) PushSettings(ctx context.Context, user chat.UserID, from chat.RoomID, limit int) ([]chat.PushSettings, error) {
	return ask(ctx, r, "push_settings", func(ctx context.Context) ([]chat.PushSettings, error) {
		return r.driver.PushSettings(ctx, user, from, limit)
	})
}

func (r *Reader) Recipients(ctx context.Context, users []chat.UserID, rooms int) ([]Recipient, error) {
	return ask(ctx, r, "recipients", func(ctx context.Context) ([]Recipient, error) { return r.driver.Recipients(ctx, users, rooms) })
}

// DuePushJobs leaves out jobs of slots that the shard does not own. Fewer than limit are all
// that there are.
func (r *Reader) DuePushJobs(ctx context.Context, from, to int64, limit int) ([]PushJob, error) {
	for most := limit; ; most *= 2 {
		page, err := ask(ctx, r, "due_push_jobs", func(ctx context.Context) ([]PushJob, error) {
			return r.driver.DuePushJobs(ctx, from, to, most)
		})
		whole := len(page)
		page = slices.DeleteFunc(page, func(j PushJob) bool { return !r.owns(j.User.Slot()) })
		if err != nil || whole < most || len(page) >= limit {
			return page[:min(len(page), limit)], err
		}
	}
}

// DeadPushJobs leaves out jobs of slots that the shard does not own: fewer than limit do
// not say that there are no more. last is the key to go on from, zero at the end.
func (r *Reader) DeadPushJobs(ctx context.Context, after PushJobKey, limit int) (dead []PushJob, last PushJobKey, err error) {
	dead, err = ask(ctx, r, "dead_push_jobs", func(ctx context.Context) ([]PushJob, error) {
		return r.driver.DeadPushJobs(ctx, after, limit)
	})
	if len(dead) == limit && limit > 0 {
		last = dead[limit-1].Key()
	}
	dead = slices.DeleteFunc(dead, func(j PushJob) bool { return !r.owns(j.User.Slot()) })
	return dead, last, err
}

// Outbox returns entries of the lane after the position, ascending, up to limit.
func (r *Reader) Outbox(ctx context.Context, lane LaneID, after int64, limit int) ([]Entry, error) {
	return ask(ctx, r, "outbox", func(ctx context.Context) ([]Entry, error) {
		rows, err := r.driver.Outbox(ctx, lane, after, limit)
		if err != nil {
			return nil, err
		}
		entries := make([]Entry, len(rows))
		for i, row := range rows {
			if entries[i], err = DecodeEntry(row.Position, row.Body); err != nil {
				return nil, err
			}
		}
		return entries, nil
	})
}

func (r *Reader) Cursors(ctx context.Context, lane LaneID) ([]Cursor, error) {
	return ask(ctx, r, "cursors", func(ctx context.Context) ([]Cursor, error) { return r.driver.Cursors(ctx, lane) })
}

func (r *Reader) Position(ctx context.Context, lane LaneID) (int64, error) {
	return ask(ctx, r, "position", func(ctx context.Context) (int64, error) { return r.driver.Position(ctx, lane) })
}

func (r *Reader) SlotRows(ctx context.Context, slot chat.Slot, after RowKey, limit, bytes int) (rows *Rows, next RowKey, err error) {
	err = r.do(ctx, "slot_rows", func(ctx context.Context) (err error) {
		rows, next, err = r.driver.SlotRows(ctx, slot, after, limit, bytes)
		return err
	})
	return rows, next, err
}

func (r *Reader) RowsByKey(ctx context.Context, keys []RowKey) (*Rows, error) {
	return ask(ctx, r, "rows_by_key", func(ctx context.Context) (*Rows, error) { return r.driver.RowsByKey(ctx, keys) })
}

// memberPage is how many rows EachMember reads at a time.
const memberPage = 500

// EachMember calls fn for every member row of the shard, including those of members
// that have left, with the rows of a room in succession, until it returns an error. fn may take
// its time and use the shard. Rows that change meanwhile are seen as they were
// or as they are.
func (r *Reader) EachMember(ctx context.Context, fn func(chat.Member) error) error {
	var after MemberKey
	for {
		page, err := ask(ctx, r, "all_members", func(ctx context.Context) ([]chat.Member, error) {
			return r.driver.AllMembers(ctx, after, memberPage)
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			if !r.owns(m.Room.Slot()) {
				continue
			}
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(page) < memberPage {
			return nil
		}
		last := page[len(page)-1]
		after = MemberKey{Room: last.Room, User: last.User}
	}
}

// Check takes as long as it needs: it reads the whole database.
func (r *Reader) Check(ctx context.Context) (lines []string, err error) {
	err = r.unbounded(ctx, "check", func(ctx context.Context) (err error) {
		lines, err = r.driver.Check(ctx, r.owns)
		return err
	})
	return lines, err
}
