package transfer

import (
	"context"
	"io"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// ExportUser writes what is stored of one user: the profile, what is kept for
// authentication, read marks, memberships, devices, push settings, and the messages and reactions that they
// have written, in rooms that are not deleted. It reads the whole store. NotFound if
// there is nothing.
func ExportUser(ctx context.Context, st *store.Store, user chat.UserID, out io.Writer, p Progress) (Counts, error) {
	counts, err := export(st, out, p, Header{Holds: HoldsUser, User: user}, func(e *exporter) error {
		if err := e.user(ctx, user); err != nil {
			return err
		}
		for slot := range chat.Slot(chat.Slots) {
			if err := e.writtenBy(ctx, user, slot); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && counts.Rows() == 0 {
		err = chat.E(chat.NotFound, "nothing is stored of user "+string(user))
	}
	return counts, err
}

// user writes what is filed under the user.
func (e *exporter) user(ctx context.Context, user chat.UserID) error {
	rows, err := e.st.RowsByKey(ctx, []store.RowKey{store.KeyOf(&chat.User{ID: user}), store.KeyOf(&chat.Access{User: user})})
	if err != nil {
		return err
	}
	if err := e.put(rows); err != nil {
		return err
	}
	if err := e.devices(ctx, user); err != nil {
		return err
	}
	c := newCursor(e.st.User(user), user.Slot(), store.TableUserRooms, func(r *store.Rows) []store.UserRoom { return r.UserRooms })
	return each(ctx, func(ctx context.Context) (*store.UserRoom, error) { return c.of(ctx, string(user)) },
		func(u *store.UserRoom) error { return e.put(&store.Rows{UserRooms: []store.UserRoom{*u}}) })
}

// devices writes the user's devices and push settings.
func (e *exporter) devices(ctx context.Context, user chat.UserID) error {
	devices, err := e.st.User(user).Devices(ctx, user)
	if err == nil {
		err = e.put(&store.Rows{Devices: devices})
	}
	for from, more := chat.RoomID(""), true; err == nil && more; {
		var page []chat.PushSettings
		if page, err = e.st.User(user).PushSettings(ctx, user, from, pageRows); err == nil {
			err = e.put(&store.Rows{PushSettings: page})
		}
		if more = len(page) == pageRows; more {
			from = page[pageRows-1].Room + "\x00"
		}
	}
	return err
}

// writtenBy writes what the user has left in the rooms of a slot.
func (e *exporter) writtenBy(ctx context.Context, user chat.UserID, slot chat.Slot) error {
	shard := &e.st.Shards()[e.st.ShardOf(slot)].Reader
	at := store.RowKey{Table: store.TableMembers}
	for at.Table >= store.TableMembers && at.Table <= store.TableReactions {
		rows, next, err := shard.SlotRows(ctx, slot, at, 4*pageRows, pageBytes)
		if err != nil {
			return err
		}
		at = next
		mine := &store.Rows{
			Members:   keep(rows.Members, func(m *chat.Member) bool { return m.User == user }),
			Messages:  keep(rows.Messages, func(m *chat.Message) bool { return m.User == user }),
			Reactions: keep(rows.Reactions, func(r *store.ReactionChange) bool { return r.User == user }),
		}
		if mine.Len() == 0 {
			continue
		}
		if err := e.dropDeleted(ctx, shard, mine); err != nil {
			return err
		}
		if err := e.put(mine); err != nil {
			return err
		}
	}
	return nil
}

// dropDeleted leaves out the rows of rooms that are deleted.
func (e *exporter) dropDeleted(ctx context.Context, shard *store.Reader, rows *store.Rows) error {
	var keys []store.RowKey
	for _, k := range rows.Keys() {
		keys = append(keys, store.RowKey{Table: store.TableRooms, ID: k.ID})
	}
	found, err := shard.RowsByKey(ctx, keys)
	if err != nil {
		return err
	}
	exists := map[chat.RoomID]bool{}
	for i := range found.Rooms {
		exists[found.Rooms[i].ID] = !found.Rooms[i].Deleted
	}
	rows.Members = keep(rows.Members, func(m *chat.Member) bool { return exists[m.Room] })
	rows.Messages = keep(rows.Messages, func(m *chat.Message) bool { return exists[m.Room] })
	rows.Reactions = keep(rows.Reactions, func(r *store.ReactionChange) bool { return exists[r.Room] })
	return nil
}

func keep[R any](rows []R, want func(*R) bool) []R {
	var out []R
	for i := range rows {
		if want(&rows[i]) {
			out = append(out, rows[i])
		}
	}
	return out
}
