package transfer

import (
	"context"
	"io"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Progress is called now and then with what was exported, verified or imported so far,
// in this word.
type Progress func(done string, c Counts)

// progressRows is after how many rows it is called.
const progressRows = 10_000

// exporter writes a file.
type exporter struct {
	*writer
	st       *store.Store
	progress Progress
	told     int64 // rows when progress was called last
}

// ExportAll writes every room and user.
func ExportAll(ctx context.Context, st *store.Store, out io.Writer, p Progress) (Counts, error) {
	return export(st, out, p, Header{Holds: HoldsAll}, func(e *exporter) error {
		for slot := range chat.Slot(chat.Slots) {
			if err := e.slot(ctx, slot); err != nil {
				return err
			}
		}
		return nil
	})
}

// ExportRoom writes one room. NotFound.
func ExportRoom(ctx context.Context, st *store.Store, room chat.RoomID, out io.Writer, p Progress) (Counts, error) {
	r, err := st.Room(room).Room(ctx, room)
	if chat.KindOf(err) == chat.NotFound {
		return Counts{}, &chat.Error{Kind: chat.NotFound, Op: "transfer.export", Err: err, Text: "there is no room " + string(room)}
	}
	if err != nil {
		return Counts{}, err
	}
	return export(st, out, p, Header{Holds: HoldsRoom, Room: room}, func(e *exporter) error {
		return e.room(ctx, &r, newContents(st.Room(room), room.Slot()))
	})
}

func export(st *store.Store, out io.Writer, p Progress, h Header, rows func(*exporter) error) (Counts, error) {
	h.Made = time.Now().UnixMilli()
	w, err := newWriter(out, h)
	if err != nil {
		return Counts{}, err
	}
	e := &exporter{writer: w, st: st, progress: p}
	if err := rows(e); err != nil {
		return w.counts, err
	}
	p("exported", w.counts)
	return w.counts, w.end()
}

// put writes rows.
func (e *exporter) put(rows *store.Rows) error {
	if n := e.counts.Rows(); n-e.told >= progressRows {
		e.told = n
		e.progress("exported", e.counts)
	}
	return e.rows(rows)
}

// slot writes the rooms and users of a slot.
func (e *exporter) slot(ctx context.Context, slot chat.Slot) error {
	shard := &e.st.Shards()[e.st.ShardOf(slot)].Reader
	if any, _, err := shard.SlotRows(ctx, slot, store.RowKey{}, 1, 0); err != nil || any.Len() == 0 {
		return err
	}
	rooms := newCursor(shard, slot, store.TableRooms, func(r *store.Rows) []chat.Room { return r.Rooms })
	contents := newContents(shard, slot)
	for {
		r, err := rooms.any(ctx)
		if err != nil {
			return err
		}
		if r == nil {
			break
		}
		if err := e.room(ctx, r, contents); err != nil {
			return err
		}
	}
	for _, table := range []store.Table{store.TableUsers, store.TableAccess, store.TableDevices, store.TablePushSettings, store.TablePushOwners} {
		if err := e.table(ctx, shard, slot, table); err != nil {
			return err
		}
	}
	return nil
}

// table writes the rows of a table that are filed under a slot, as they are.
func (e *exporter) table(ctx context.Context, shard *store.Reader, slot chat.Slot, table store.Table) error {
	for at := (store.RowKey{Table: table}); at.Table == table; {
		rows, next, err := shard.SlotRows(ctx, slot, at, pageRows, pageBytes)
		if err != nil {
			return err
		}
		if err := e.put(rows.Of(table)); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// each calls fn for all that next returns.
func each[R any](ctx context.Context, next func(context.Context) (*R, error), fn func(*R) error) error {
	for {
		row, err := next(ctx)
		if err != nil || row == nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// room writes a room. Of one that is deleted there is the row alone, which says where
// its revs have ended: what is left of it is on its way out.
func (e *exporter) room(ctx context.Context, r *chat.Room, c *contents) error {
	if r.Deleted {
		r.Floor = r.Rev
		return e.put(&store.Rows{Rooms: []chat.Room{*r}})
	}
	if err := e.put(&store.Rows{Rooms: []chat.Room{*r}}); err != nil {
		return err
	}
	if err := e.members(ctx, r.ID, c.members); err != nil {
		return err
	}
	of := string(r.ID)
	err := each(ctx, func(ctx context.Context) (*chat.Message, error) { return c.messages.of(ctx, of) },
		func(m *chat.Message) error { return e.put(&store.Rows{Messages: []chat.Message{*m}}) })
	if err != nil {
		return err
	}
	return each(ctx, func(ctx context.Context) (*store.ReactionChange, error) { return c.reactions.of(ctx, of) },
		func(r *store.ReactionChange) error { return e.put(&store.Rows{Reactions: []store.ReactionChange{*r}}) })
}

// members writes the members of a room, each with the user's side of it.
func (e *exporter) members(ctx context.Context, room chat.RoomID, c *cursor[chat.Member]) error {
	for {
		var page []chat.Member
		for len(page) < pageRows {
			m, err := c.of(ctx, string(room))
			if err != nil {
				return err
			}
			if m == nil {
				break
			}
			page = append(page, *m)
		}
		if len(page) == 0 {
			return nil
		}
		theirs, err := userRooms(ctx, e.st, page)
		if err != nil {
			return err
		}
		for i := range page {
			rows := &store.Rows{Members: page[i : i+1]}
			if u, ok := theirs[page[i].User]; ok {
				rows.UserRooms = []store.UserRoom{u}
			}
			if err := e.put(rows); err != nil {
				return err
			}
		}
	}
}

// userRooms returns the users' sides of members of a room, those that exist.
func userRooms(ctx context.Context, st *store.Store, ms []chat.Member) (map[chat.UserID]store.UserRoom, error) {
	keys := make([]store.RowKey, len(ms))
	for i := range ms {
		keys[i] = store.KeyOf(&store.UserRoom{User: ms[i].User, Room: ms[i].Room})
	}
	rows, err := st.RowsByKey(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make(map[chat.UserID]store.UserRoom, len(rows.UserRooms))
	for _, u := range rows.UserRooms {
		out[u.User] = u
	}
	return out, nil
}
