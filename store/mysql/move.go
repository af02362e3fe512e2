package mysql

import (
	"fmt"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// move writes what moves between shards.
func (c *commit) move(ch *store.Changes) error {
	for _, keys := range [][]store.RowKey{ch.Delete, ch.Drop} {
		if err := c.drop(keys); err != nil {
			return err
		}
	}
	if ch.Put != nil {
		c.putRows(ch.Put)
	}
	return nil
}

// drop deletes rows of every table by their keys.
func (c *commit) drop(keys []store.RowKey) error {
	by := map[store.Table][]store.RowKey{}
	for _, k := range keys {
		if k.Table < store.TableRooms || k.Table > store.LastTable {
			return fmt.Errorf("a row to delete is of table %d, which there is not", k.Table)
		}
		by[k.Table] = append(by[k.Table], k)
	}
	room := func(args []any, id string) []any { return append(args, int64(chat.RoomID(id).Slot()), id) }
	user := func(args []any, id string) []any { return append(args, int64(chat.UserID(id).Slot()), id) }
	tables := []struct {
		of     store.Table
		table  *sqldb.Table
		values func(args []any, k *store.RowKey) []any
	}{
		{store.TableRooms, &sqldb.Rooms, func(args []any, k *store.RowKey) []any { return room(args, k.ID) }},
		{store.TableMembers, &sqldb.Members, func(args []any, k *store.RowKey) []any { return append(room(args, k.ID), k.A) }},
		{store.TableMessages, &sqldb.Messages, func(args []any, k *store.RowKey) []any { return append(room(args, k.ID), int64(k.Seq)) }},
		{store.TableOnline, &sqldb.Online, func(args []any, k *store.RowKey) []any { return append(room(args, k.ID), k.A, k.B) }},
		{store.TableUserRooms, &sqldb.UserRooms, func(args []any, k *store.RowKey) []any { return append(user(args, k.ID), k.A) }},
		{store.TableUsers, &sqldb.Users, func(args []any, k *store.RowKey) []any { return user(args, k.ID) }},
		{store.TableAccess, &sqldb.Access, func(args []any, k *store.RowKey) []any { return user(args, k.ID) }},
		{store.TableDevices, &sqldb.Devices, func(args []any, k *store.RowKey) []any { return append(user(args, k.ID), k.A) }},
		{store.TablePushSettings, &sqldb.PushSettings, func(args []any, k *store.RowKey) []any { return append(user(args, k.ID), k.A) }},
		{store.TablePushJobs, &sqldb.PushJobs, func(args []any, k *store.RowKey) []any { return append(user(args, k.ID), k.A, k.B) }},
		{store.TablePushOwners, &sqldb.PushOwners, func(args []any, k *store.RowKey) []any { return user(args, k.ID) }},
		{store.TableUserNodes, &sqldb.UserNodes, func(args []any, k *store.RowKey) []any { return user(args, k.ID) }},
	}
	for _, t := range tables {
		some := by[t.of]
		c.delete(t.table, len(some), func(args []any, i int) []any { return t.values(args, &some[i]) })
	}
	var off []store.ReactionKey
	for _, k := range by[store.TableReactions] {
		off = append(off, store.ReactionKey{Room: chat.RoomID(k.ID), Seq: k.Seq, Emoji: k.A, User: chat.UserID(k.B)})
	}
	c.unreactKeys(off)
	return nil
}

// putRows inserts or replaces rows. Of messages it is REPLACE, which deletes what has the
// same number, and what has the same key, before it inserts.
func (c *commit) putRows(r *store.Rows) {
	c.put(&store.Changes{
		Rooms: r.Rooms, Members: r.Members, UserRooms: r.UserRooms, Users: r.Users, Access: r.Access, Reactions: r.Reactions, Online: r.Online,
		Devices: r.Devices, PushSettings: r.PushSettings, PushJobs: r.PushJobs, PushOwners: r.PushOwners, UserNodes: r.UserNodes,
	})
	replace := "REPLACE" + strings.TrimPrefix(sqldb.Messages.Insert(), "INSERT")
	c.values(&sqldb.Messages, replace, "", len(r.Messages), func(args []any, i int) []any { return sqldb.MessageValues(args, &r.Messages[i]) })
}
