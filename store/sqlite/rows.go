package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// A slotTable is a table of rows that move between shards.
type slotTable struct {
	name    string
	key     []string // columns of the primary key behind slot: those of store.RowKey, in its order
	columns string   // what read expects behind the first column of the key

	// read appends rows of a statement as long as they fit.
	read func(rows *sql.Rows, space *store.Space, to *store.Rows) (more bool, err error)
}

// slotTables are all of them, by store.Table.
var slotTables = [...]slotTable{
	store.TableRooms: {"rooms", []string{"room_id"}, roomColumns,
		readInto(func(to *store.Rows) *[]chat.Room { return &to.Rooms }, scanRoom)},
	store.TableMembers: {"members", []string{"room_id", "user_id"}, memberColumns,
		readInto(func(to *store.Rows) *[]chat.Member { return &to.Members }, scanMember)},
	store.TableMessages: {"messages", []string{"room_id", "seq"}, messageColumns,
		readInto(func(to *store.Rows) *[]chat.Message { return &to.Messages }, scanMessage)},
	store.TableReactions: {"reactions", []string{"room_id", "seq", "emoji", "user_id"}, "seq, emoji, user_id, ts",
		readInto(func(to *store.Rows) *[]store.ReactionChange { return &to.Reactions }, scanReaction)},
	store.TableOnline: {"online", []string{"room_id", "user_id", "node"}, "user_id, node",
		readInto(func(to *store.Rows) *[]store.OnlineChange { return &to.Online }, scanOnline)},
	store.TableUserRooms: {"user_rooms", []string{"user_id", "room_id"}, userRoomColumns,
		readInto(func(to *store.Rows) *[]store.UserRoom { return &to.UserRooms }, scanUserRoom)},
	store.TableUsers: {"users", []string{"user_id"}, userColumns,
		readInto(func(to *store.Rows) *[]chat.User { return &to.Users }, scanUser)},
	store.TableAccess: {"user_access", []string{"user_id"}, accessColumns,
		readInto(func(to *store.Rows) *[]chat.Access { return &to.Access }, scanAccess)},
	store.TableDevices: {"devices", []string{"user_id", "device_id"}, deviceColumns,
		readInto(func(to *store.Rows) *[]chat.Device { return &to.Devices }, scanDevice)},
	store.TablePushSettings: {"push_settings", []string{"user_id", "room_id"}, pushSettingsColumns,
		readInto(func(to *store.Rows) *[]chat.PushSettings { return &to.PushSettings }, scanPushSettings)},
	store.TablePushJobs: {"push_jobs", []string{"user_id", "topic", "device_id"}, pushJobColumns,
		readInto(func(to *store.Rows) *[]store.PushJob { return &to.PushJobs }, scanPushJob)},
	store.TablePushOwners: {"push_owners", []string{"digest"}, pushOwnerColumns,
		readInto(func(to *store.Rows) *[]store.PushOwner { return &to.PushOwners }, scanPushOwner)},
	store.TableUserNodes: {"user_nodes", []string{"user_id"}, userNodesColumns,
		readInto(func(to *store.Rows) *[]store.UserNodes { return &to.UserNodes }, scanUserNodes)},
}

// page is the statement for the rows of a slot that follow a key.
func (t *slotTable) page() string {
	pk := strings.Join(t.key, ", ")
	return t.query(">") + " ORDER BY " + pk + " " + upTo
}

// find is the statement for the row with a key.
func (t *slotTable) find() string { return t.query("=") }

func (t *slotTable) query(op string) string {
	return "SELECT " + t.key[0] + ", " + t.columns + " FROM " + t.name + " WHERE " + t.where(op)
}

// drop is the statement that deletes the row with a key.
func (t *slotTable) drop() string { return "DELETE FROM " + t.name + " WHERE " + t.where("=") }

func (t *slotTable) where(op string) string {
	values := strings.TrimSuffix(strings.Repeat("?, ", len(t.key)), ", ")
	return "slot = ? AND (" + strings.Join(t.key, ", ") + ") " + op + " (" + values + ")"
}

// args are the arguments of where.
func (t *slotTable) args(slot chat.Slot, k store.RowKey) []any {
	args, texts := []any{int64(slot)}, []string{k.ID, k.A, k.B}
	for _, column := range t.key {
		if column == "seq" {
			args = append(args, int64(k.Seq))
			continue
		}
		args, texts = append(args, texts[0]), texts[1:]
	}
	return args
}

// tableOf returns the table of a key.
func tableOf(k store.RowKey) (*slotTable, error) {
	if k.Table < store.TableRooms || int(k.Table) >= len(slotTables) {
		return nil, fmt.Errorf("a row key names table %d, which does not exist", k.Table)
	}
	return &slotTables[k.Table], nil
}

// readInto reads rows whose first column is the first of the key, which scan does
// not read.
func readInto[ID ~string, R store.Row](list func(*store.Rows) *[]R, scan func(scanner, ID, *R) error) func(*sql.Rows, *store.Space, *store.Rows) (bool, error) {
	return func(rows *sql.Rows, space *store.Space, to *store.Rows) (bool, error) {
		found, more, err := collectWhile(rows, 0, func(row *R) (bool, error) {
			var id string
			err := scan(behind{rows, &id}, "", row)
			setID(row, id)
			return space.Take(store.SizeOf(row)), err
		})
		*list(to) = append(*list(to), found...)
		return more, err
	}
}

// setID sets the first column of the key.
func setID[R store.Row](row *R, id string) {
	switch r := any(row).(type) {
	case *chat.Room:
		r.ID = chat.RoomID(id)
	case *chat.Member:
		r.Room = chat.RoomID(id)
	case *chat.Message:
		r.Room = chat.RoomID(id)
	case *store.ReactionChange:
		r.Room = chat.RoomID(id)
	case *store.OnlineChange:
		r.Room = chat.RoomID(id)
	case *store.UserRoom:
		r.User = chat.UserID(id)
	case *chat.User:
		r.ID = chat.UserID(id)
	case *chat.Access:
		r.User = chat.UserID(id)
	case *chat.Device:
		r.User = chat.UserID(id)
	case *chat.PushSettings:
		r.User = chat.UserID(id)
	case *store.PushJob:
		r.User = chat.UserID(id)
	case *store.PushOwner:
		r.Digest = id
	case *store.UserNodes:
		r.User = chat.UserID(id)
	}
}

func scanReaction(s scanner, room chat.RoomID, r *store.ReactionChange) error {
	r.Room, r.On = room, true
	return s.Scan((*int64)(&r.Seq), &r.Emoji, (*string)(&r.User), &r.Time)
}

func scanOnline(s scanner, room chat.RoomID, c *store.OnlineChange) error {
	c.Room, c.On = room, true
	return s.Scan((*string)(&c.User), &c.Node)
}

// slotQueries are the statements of readers, by store.Table.
type slotQueries struct {
	page, find [len(slotTables)]*sql.Stmt
}

func (q *slotQueries) queries() []query {
	var all []query
	for i := store.TableRooms; int(i) < len(slotTables); i++ {
		t := &slotTables[i]
		all = append(all, query{&q.page[i], t.page()}, query{&q.find[i], t.find()})
	}
	return all
}

func (s *Shard) SlotRows(ctx context.Context, slot chat.Slot, after store.RowKey, limit, bytes int) (*store.Rows, store.RowKey, error) {
	limit = max(limit, 1)
	space := store.Space{Items: limit, Bytes: bytes}
	var found store.Rows
	more := false
	err := s.db.snapshot(ctx, "slot_rows", func(tx *sql.Tx) error {
		for i := max(after.Table, store.TableRooms); int(i) < len(slotTables) && !more; i++ {
			from := after
			if i != after.Table {
				from = store.RowKey{}
			}
			t := &slotTables[i]
			rows, err := tx.Stmt(s.slots.page[i]).Query(append(t.args(slot, from), limit-found.Len()+1)...)
			if err != nil {
				return err
			}
			if more, err = t.read(rows, &space, &found); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, store.RowKey{}, err
	}
	if !more {
		return &found, store.RowKey{}, nil
	}
	return &found, found.Last(), nil
}

func (s *Shard) RowsByKey(ctx context.Context, keys []store.RowKey) (*store.Rows, error) {
	var found store.Rows
	seen := make(map[store.RowKey]bool, len(keys))
	space := store.Space{Items: len(keys)}
	err := s.db.snapshot(ctx, "rows_by_key", func(tx *sql.Tx) error {
		for _, k := range keys {
			t, err := tableOf(k)
			if err != nil {
				return err
			}
			if seen[k] {
				continue
			}
			seen[k] = true
			rows, err := tx.Stmt(s.slots.find[k.Table]).Query(t.args(k.Slot(), k)...)
			if err != nil {
				return err
			}
			if _, err := t.read(rows, &space, &found); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// dropRows deletes rows by their keys.
func dropRows(w *writer, keys []store.RowKey) error {
	for _, k := range keys {
		t, err := tableOf(k)
		if err != nil {
			return err
		}
		if _, err := w.exec(t.drop(), t.args(k.Slot(), k)...); err != nil {
			return err
		}
	}
	return nil
}

// putMessageRow replaces the message with the same number, and one with the same
// key: the constraints of both.
const putMessageRow = "INSERT OR REPLACE" + insertMessageInto

// putMoved writes what moves between shards.
func putMoved(w *writer, ch *store.Changes) error {
	if err := dropRows(w, ch.Drop); err != nil {
		return err
	}
	if ch.Put == nil {
		return nil
	}
	for i := range ch.Put.Messages {
		if err := putMessage(w, putMessageRow, &ch.Put.Messages[i]); err != nil {
			return err
		}
	}
	rest := store.Changes{Rooms: ch.Put.Rooms, Members: ch.Put.Members, Reactions: ch.Put.Reactions, Online: ch.Put.Online,
		UserRooms: ch.Put.UserRooms, Users: ch.Put.Users, Access: ch.Put.Access,
		Devices: ch.Put.Devices, PushSettings: ch.Put.PushSettings, PushJobs: ch.Put.PushJobs, PushOwners: ch.Put.PushOwners,
		UserNodes: ch.Put.UserNodes}
	for _, put := range []func(*writer, *store.Changes) error{
		putRooms, putMembers, putReactions, putUserRooms, putUsers, putAccess, putPush, putOnline,
	} {
		if err := put(w, &rest); err != nil {
			return err
		}
	}
	return nil
}
