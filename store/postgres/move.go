package postgres

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// slotTables are those whose rows move between shards, by store.Table.
var slotTables = map[store.Table]*sqldb.Table{
	store.TableRooms: &sqldb.Rooms, store.TableMembers: &sqldb.Members, store.TableMessages: &sqldb.Messages,
	store.TableReactions: &sqldb.Reactions, store.TableOnline: &sqldb.Online, store.TableUserRooms: &sqldb.UserRooms,
	store.TableUsers: &sqldb.Users, store.TableAccess: &sqldb.Access,
	store.TableDevices: &sqldb.Devices, store.TablePushSettings: &sqldb.PushSettings, store.TablePushJobs: &sqldb.PushJobs,
	store.TablePushOwners: &sqldb.PushOwners, store.TableUserNodes: &sqldb.UserNodes,
}

// drop adds the removal of rows by their keys.
func (b *batch) drop(keys []store.RowKey) error {
	by := map[store.Table][]store.RowKey{}
	for _, k := range keys {
		if slotTables[k.Table] == nil {
			return fmt.Errorf("a row to delete is of table %d, which there is not", k.Table)
		}
		by[k.Table] = append(by[k.Table], k)
	}
	for table := store.TableRooms; table <= store.LastTable; table++ {
		t := slotTables[table]
		text := removeTexts[t]
		if t == &sqldb.Reactions {
			text = deleteReactions
		}
		addRows(b, text, key(t), by[table], rowKeyValues)
	}
	return nil
}

// rowKeyValues are the values of the primary key.
func rowKeyValues(row []any, k *store.RowKey) []any {
	row = append(row, int64(k.Slot()), k.ID)
	switch k.Table {
	case store.TableMembers, store.TableUserRooms, store.TableDevices, store.TablePushSettings:
		row = append(row, k.A)
	case store.TableMessages:
		row = append(row, int64(k.Seq))
	case store.TableReactions:
		row = append(row, int64(k.Seq), k.A, k.B)
	case store.TableOnline, store.TablePushJobs:
		row = append(row, k.A, k.B)
	}
	return row
}

// put adds rows, which replace those with the same primary keys, and messages with the
// same keys of their senders.
func (b *batch) put(rows *store.Rows) {
	putRows(b, &sqldb.Rooms, rows.Rooms, sqldb.RoomValues)
	putRows(b, &sqldb.Members, rows.Members, sqldb.MemberValues)
	var withKey []chat.Message
	for i := range rows.Messages {
		if rows.Messages[i].Key != "" {
			withKey = append(withKey, rows.Messages[i])
		}
	}
	addRows(b, deleteByKey, keyed, withKey, func(row []any, m *chat.Message) []any {
		return append(row, int64(m.Room.Slot()), string(m.Room), int64(m.Seq), string(m.User), m.Key)
	})
	putRows(b, &sqldb.Messages, rows.Messages, sqldb.MessageValues)
	b.reactions(rows.Reactions)
	addRows(b, setOnline, sqldb.Online.Columns, rows.Online, sqldb.OnlineValues)
	putRows(b, &sqldb.UserRooms, rows.UserRooms, sqldb.UserRoomValues)
	putRows(b, &sqldb.Users, rows.Users, sqldb.UserValues)
	putRows(b, &sqldb.Access, rows.Access, sqldb.AccessValues)
	b.putPush(rows.Devices, rows.PushSettings, rows.PushJobs, rows.PushOwners)
	putRows(b, &sqldb.UserNodes, rows.UserNodes, sqldb.UserNodesValues)
}
