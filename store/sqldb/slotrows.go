package sqldb

import (
	"context"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// How many rows SlotRows asks a table for: at first all tables that are left are asked
// at once, since most tables of a slot have a few rows; then the one that has more.
const (
	peekRows  = 32
	chunkRows = 512
)

// SlotRows asks again until it has enough.
func (r *Reader) SlotRows(ctx context.Context, slot chat.Slot, after store.RowKey, limit, bytes int) (*store.Rows, store.RowKey, error) {
	c := slotReader{d: r.d, slot: slot, key: after, limit: max(limit, 1)}
	c.space = store.Space{Items: c.limit, Bytes: bytes}
	if c.key.Table == 0 {
		c.key.Table = store.TableRooms
	}
	for int(c.key.Table) <= len(slotTables) {
		if err := r.db.Ask(ctx, c.questions()...); err != nil {
			return nil, store.RowKey{}, err
		}
		if c.full {
			return &c.rows, c.last, nil
		}
	}
	return &c.rows, store.RowKey{}, nil
}

// RowsByKey asks for everything in one round trip, and tells rows that were asked for
// from others by their keys.
func (r *Reader) RowsByKey(ctx context.Context, keys []store.RowKey) (*store.Rows, error) {
	var (
		found store.Rows
		of    = make([][]store.RowKey, len(slotTables))
		qs    []Question
	)
	for _, k := range keys {
		if k.Table < store.TableRooms || int(k.Table) > len(slotTables) {
			return nil, fmt.Errorf("there is no table %d", k.Table)
		}
		of[k.Table-1] = append(of[k.Table-1], k)
	}
	for i := range of {
		t := &slotTables[i]
		args := func(k store.RowKey) []any { return append([]any{int64(k.Slot())}, t.values(k)...) }
		scan := func(s Scanner) (store.RowKey, error) {
			row, err := t.scan(s)
			if err == nil {
				row.add(&found)
			}
			return row.key, err
		}
		qs = append(qs, pick(r.d, t.columns, t.from, t.columnsOfKey, of[i], args, scan)...)
	}
	if err := r.db.Ask(ctx, qs...); err != nil {
		return nil, err
	}
	return &found, nil
}

// slotReader reads the tables of a slot one after the other.
type slotReader struct {
	d     *Dialect
	slot  chat.Slot
	limit int

	rows  store.Rows
	key   store.RowKey // where to go on: behind it
	last  store.RowKey // of the last row in rows
	long  bool         // the table of key has more than a few rows
	space store.Space
	full  bool // a row did not fit
}

// questions asks for the rows behind the key: of its table alone if that has many,
// otherwise a few of every table that is left.
func (c *slotReader) questions() (qs []Question) {
	from := c.key
	left := c.limit - c.rows.Len() + 1
	if c.long {
		c.long, c.key = false, store.RowKey{Table: from.Table + 1} // unless there are more again
		return append(qs, c.question(from, min(left, chunkRows)))
	}
	c.key = store.RowKey{Table: store.Table(len(slotTables) + 1)}
	for t := from.Table; int(t) <= len(slotTables); t++ {
		qs = append(qs, c.question(from, min(left, peekRows)))
		from = store.RowKey{Table: t + 1}
	}
	return qs
}

// question asks for up to n rows of the table of the key that follow it. Rows that come
// when an earlier table was not read to its end are passed over.
func (c *slotReader) question(after store.RowKey, n int) Question {
	t := &slotTables[after.Table-1]
	where, args := "slot = ?", []any{int64(c.slot)}
	if after != (store.RowKey{Table: t.table}) {
		behind, values := c.d.behind(t.key, t.values(after)...)
		where, args = where+" AND "+behind, append(args, values...)
	}
	read := 0
	return Question{
		Text: "SELECT " + t.columns + " FROM " + t.from + " WHERE " + where + " ORDER BY slot, " + strings.Join(t.key, ", ") + " LIMIT ?",
		Args: append(args, int64(n)),
		Row: func(s Scanner) error {
			if c.full || c.long {
				return nil
			}
			row, err := t.scan(s)
			if err != nil {
				return err
			}
			if row.slot != c.slot {
				return errMixed
			}
			if !c.space.Take(row.size) {
				c.full = true
				return nil
			}
			row.add(&c.rows)
			c.last = row.key
			if read++; read == n {
				c.long, c.key = true, row.key
			}
			return nil
		},
	}
}

// slotRow is a row that was read: its key, about its size, and how to keep it.
type slotRow struct {
	key  store.RowKey
	slot chat.Slot
	size int
	add  func(*store.Rows)
}

// slotTable says how rows of a table are read.
type slotTable struct {
	table         store.Table
	columns, from string
	key           []string // the columns behind slot
	columnsOfKey  []Column // with it
	scan          func(Scanner) (slotRow, error)
}

// values are those of the key columns.
func (t *slotTable) values(k store.RowKey) []any {
	vs := []any{k.ID}
	if t.table == store.TableMessages || t.table == store.TableReactions {
		vs = append(vs, int64(k.Seq))
	}
	return append(vs, k.A, k.B)[:len(t.key)]
}

// slotTables are in the order of store.Table.
var slotTables = []slotTable{
	tableOf(store.TableRooms, &Rooms, roomColumns, "{rooms}", scanRoom, func(r *chat.Room) slotRow {
		return roomRow(r.ID, store.RowKey{}, 128+len(r.Title)+len(r.Topic)+len(r.Avatar)+len(r.Data))
	}, func(rows *store.Rows) *[]chat.Room { return &rows.Rooms }),

	tableOf(store.TableMembers, &Members, memberColumns, "{members}", scanMember, func(m *chat.Member) slotRow {
		return roomRow(m.Room, store.RowKey{A: string(m.User)}, m.Size())
	}, func(rows *store.Rows) *[]chat.Member { return &rows.Members }),

	tableOf(store.TableMessages, &Messages, messageColumns, "{messages} m", scanMessage, func(m *chat.Message) slotRow {
		return roomRow(m.Room, store.RowKey{Seq: m.Seq}, m.Size())
	}, func(rows *store.Rows) *[]chat.Message { return &rows.Messages }),

	tableOf(store.TableReactions, &Reactions, "room_id, seq, emoji, user_id, ts", "{reactions}", func(s Scanner, r *store.ReactionChange) error {
		r.On = true
		return s.Scan((*string)(&r.Room), (*int64)(&r.Seq), &r.Emoji, (*string)(&r.User), &r.Time)
	}, func(r *store.ReactionChange) slotRow {
		return roomRow(r.Room, store.RowKey{Seq: r.Seq, A: r.Emoji, B: string(r.User)}, 64+len(r.Emoji)+len(r.User))
	}, func(rows *store.Rows) *[]store.ReactionChange { return &rows.Reactions }),

	tableOf(store.TableOnline, &Online, "room_id, user_id, node", "{online}", func(s Scanner, o *store.OnlineChange) error {
		o.On = true
		return s.Scan((*string)(&o.Room), (*string)(&o.User), &o.Node)
	}, func(o *store.OnlineChange) slotRow {
		return roomRow(o.Room, store.RowKey{A: string(o.User), B: o.Node}, 64+len(o.User)+len(o.Node))
	}, func(rows *store.Rows) *[]store.OnlineChange { return &rows.Online }),

	tableOf(store.TableUserRooms, &UserRooms, userRoomColumns, "{user_rooms}", scanUserRoom, func(u *store.UserRoom) slotRow {
		return userRow(u.User, store.RowKey{A: string(u.Room)}, 64+len(u.Room))
	}, func(rows *store.Rows) *[]store.UserRoom { return &rows.UserRooms }),

	tableOf(store.TableUsers, &Users, userColumns, "{users}", scanUser, func(u *chat.User) slotRow {
		return userRow(u.ID, store.RowKey{}, 64+len(u.Name)+len(u.Avatar)+len(u.Data))
	}, func(rows *store.Rows) *[]chat.User { return &rows.Users }),

	tableOf(store.TableAccess, &Access, accessColumns, "{user_access}", scanAccess, func(a *chat.Access) slotRow {
		return userRow(a.User, store.RowKey{}, 64)
	}, func(rows *store.Rows) *[]chat.Access { return &rows.Access }),
}

func roomRow(id chat.RoomID, key store.RowKey, size int) slotRow {
	key.ID = string(id)
	return slotRow{key: key, slot: id.Slot(), size: size + len(id)}
}

func userRow(id chat.UserID, key store.RowKey, size int) slotRow {
	key.ID = string(id)
	return slotRow{key: key, slot: id.Slot(), size: size + len(id)}
}

// tableOf makes a slotTable of a type of rows.
func tableOf[T any](table store.Table, t *Table, columns, from string, scan func(Scanner, *T) error, row func(*T) slotRow,
	list func(*store.Rows) *[]T) slotTable {
	return slotTable{
		table: table, columns: columns, from: from, key: names(t.Columns[1:t.Key]), columnsOfKey: t.Columns[:t.Key],
		scan: func(s Scanner) (slotRow, error) {
			var v T
			if err := scan(s, &v); err != nil {
				return slotRow{}, err
			}
			r := row(&v)
			r.key.Table = table
			r.add = func(rows *store.Rows) { l := list(rows); *l = append(*l, v) }
			return r, nil
		},
	}
}
