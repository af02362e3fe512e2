package sqldb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// How many rows SlotRows asks for at most: of the table in which it goes on, and of each
// table behind that, of which most have a few rows in a slot.
const (
	chunkRows = 1000
	peekRows  = 16

	leastRow = 100 // store.SizeOf is more
)

// SlotRows asks every table that is left, in one round trip. The answer ends with the
// first table that has more rows than were asked for.
func (r *Reader) SlotRows(ctx context.Context, slot chat.Slot, after store.RowKey, limit, bytes int) (*store.Rows, store.RowKey, error) {
	limit = max(limit, 1)
	most := min(limit, chunkRows)
	if bytes > 0 {
		most = min(most, bytes/leastRow+1)
	}
	c := slotReader{d: r.d, slot: slot, space: store.Space{Items: limit, Bytes: bytes}}
	after.Table = max(after.Table, store.TableRooms)
	var qs []Question
	for t := after.Table; int(t) <= len(slotTables); t++ {
		n := min(most, peekRows)
		if t == after.Table {
			n = most
		} else {
			after = store.RowKey{Table: t}
		}
		qs = append(qs, c.question(after, n+1))
	}
	if err := r.db.Ask(ctx, qs...); err != nil {
		return nil, store.RowKey{}, err
	}
	if c.more {
		return &c.rows, c.last, nil
	}
	return &c.rows, store.RowKey{}, nil
}

// slotReader reads the tables of a slot one after the other.
type slotReader struct {
	d     *Dialect
	slot  chat.Slot
	space store.Space

	rows store.Rows
	last store.RowKey // of the last row in rows
	more bool         // a row was left out, and with it all that follow
}

// question asks for n rows of the table of the key that follow it, of which the last is
// left out: it says that there are more.
func (c *slotReader) question(after store.RowKey, n int) Question {
	t := &slotTables[after.Table-1]
	where, args := "slot = ?", []any{int64(c.slot)}
	if after != (store.RowKey{Table: after.Table}) {
		behind, values := c.d.behind(t.key[1:], t.values(after)[1:]...)
		where, args = where+" AND "+behind, append(args, values...)
	}
	read := 0
	return Question{
		Text: t.selects + " WHERE " + where + " ORDER BY " + strings.Join(t.key, ", ") + " LIMIT ?",
		Args: append(args, int64(n)),
		Row: func(s Scanner) error {
			if c.more {
				return nil
			}
			row, err := t.scan(s)
			if err != nil {
				return err
			}
			if row.key.Slot() != c.slot || row.key.Compare(after) <= 0 {
				return errMixed
			}
			if read++; read == n || !c.space.Take(row.size) {
				c.more = true
				return nil
			}
			row.add(&c.rows)
			c.last = row.key
			return nil
		},
	}
}

func (r *Reader) RowsByKey(ctx context.Context, keys []store.RowKey) (*store.Rows, error) {
	by := make([][]store.RowKey, len(slotTables)+1)
	for _, k := range keys {
		if k.Table == 0 || int(k.Table) > len(slotTables) {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "sqldb.rows_by_key", Subject: r.name, Err: fmt.Errorf("there is no table %d", k.Table)}
		}
		by[k.Table] = append(by[k.Table], k)
	}
	var rows store.Rows
	var qs []Question
	for i := range slotTables {
		t := &slotTables[i]
		qs = append(qs, pick(r.d, t.columns, t.from, t.table.Columns[:t.table.Key], by[i+1], t.values, func(s Scanner) (store.RowKey, error) {
			row, err := t.scan(s)
			if err == nil {
				row.add(&rows)
			}
			return row.key, err
		})...)
	}
	return &rows, r.db.Ask(ctx, qs...)
}

// slotRow is a row that was read: its key, about its size, and how to keep it.
type slotRow struct {
	key  store.RowKey
	size int
	add  func(*store.Rows)
}

// slotTable says how rows of a table are read.
type slotTable struct {
	table         *Table
	columns, from string
	selects       string   // of both
	key           []string // the names of the columns of the primary key
	scan          func(Scanner) (slotRow, error)
}

// values are those of the primary key.
func (t *slotTable) values(k store.RowKey) []any {
	vs := []any{int64(k.Slot()), k.ID}
	if k.Table == store.TableMessages || k.Table == store.TableReactions {
		vs = append(vs, int64(k.Seq))
	}
	return append(vs, k.A, k.B)[:len(t.key)]
}

// slotTables are in the order of store.Table.
var slotTables = []slotTable{
	tableOf(&Rooms, roomColumns, "{rooms}", scanRoom, func(rows *store.Rows) *[]chat.Room { return &rows.Rooms }),
	tableOf(&Members, memberColumns, "{members}", scanMember, func(rows *store.Rows) *[]chat.Member { return &rows.Members }),
	tableOf(&Messages, messageColumns, "{messages} m", scanMessage, func(rows *store.Rows) *[]chat.Message { return &rows.Messages }),
	tableOf(&Reactions, "room_id, seq, emoji, user_id, ts", "{reactions}", func(s Scanner, r *store.ReactionChange) error {
		r.On = true
		return s.Scan((*string)(&r.Room), (*int64)(&r.Seq), &r.Emoji, (*string)(&r.User), &r.Time)
	}, func(rows *store.Rows) *[]store.ReactionChange { return &rows.Reactions }),
	tableOf(&Online, "room_id, user_id, node", "{online}", func(s Scanner, o *store.OnlineChange) error {
		o.On = true
		return s.Scan((*string)(&o.Room), (*string)(&o.User), &o.Node)
	}, func(rows *store.Rows) *[]store.OnlineChange { return &rows.Online }),
	tableOf(&UserRooms, userRoomColumns, "{user_rooms}", scanUserRoom, func(rows *store.Rows) *[]store.UserRoom { return &rows.UserRooms }),
	tableOf(&Users, userColumns, "{users}", scanUser, func(rows *store.Rows) *[]chat.User { return &rows.Users }),
	tableOf(&Access, accessColumns, "{user_access}", scanAccess, func(rows *store.Rows) *[]chat.Access { return &rows.Access }),
	tableOf(&Devices, deviceColumns, "{devices}", scanDevice, func(rows *store.Rows) *[]chat.Device { return &rows.Devices }),
	tableOf(&PushSettings, pushSettingsColumns, "{push_settings}", scanPushSettings,
		func(rows *store.Rows) *[]chat.PushSettings { return &rows.PushSettings }),
	tableOf(&PushJobs, pushJobColumns, "{push_jobs}", scanPushJob, func(rows *store.Rows) *[]store.PushJob { return &rows.PushJobs }),
	tableOf(&PushOwners, pushOwnerColumns, "{push_owners}", scanPushOwner, func(rows *store.Rows) *[]store.PushOwner { return &rows.PushOwners }),
	tableOf(&UserNodes, userNodesColumns, "{user_nodes}", scanUserNodes, func(rows *store.Rows) *[]store.UserNodes { return &rows.UserNodes }),
}

// tableOf makes a slotTable of a type of rows.
func tableOf[T store.Row](t *Table, columns, from string, scan func(Scanner, *T) error, list func(*store.Rows) *[]T) slotTable {
	return slotTable{
		table: t, columns: columns, from: from, selects: "SELECT " + columns + " FROM " + from,
		key: slices.Clip(names(t.Columns[:t.Key])),
		scan: func(s Scanner) (slotRow, error) {
			var v T
			if err := scan(s, &v); err != nil {
				return slotRow{}, err
			}
			return slotRow{store.KeyOf(&v), store.SizeOf(&v), func(rows *store.Rows) { l := list(rows); *l = append(*l, v) }}, nil
		},
	}
}
