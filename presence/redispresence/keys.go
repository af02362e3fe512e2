package redispresence

import "github.com/roomtide/roomtide/chat"

// keys names everything in Redis. Two names are documented for other programs to read:
// room and user. What belongs to a room has the documented name as its hash tag, so
// that a cluster of Redis servers keeps it in one slot.
type keys struct{ prefix, node, incarnation string }

// room is the set of users online in the room, of all nodes.
func (k keys) room(id chat.RoomID) string { return k.prefix + "room:" + string(id) + ":users" }

// user exists while the user is online in any room: the set of processes through which.
func (k keys) user(id chat.UserID) string { return k.prefix + "user:" + string(id) + ":online" }

// ordered has the members of room in ascending order.
func (k keys) ordered(id chat.RoomID) string { return k.prefix + "roomtide:{" + k.room(id) + "}:all" }

// entries is the set of users online in the room through the named process.
func (k keys) entries(id chat.RoomID, name string) string {
	return k.prefix + "roomtide:{" + k.room(id) + "}:" + name
}

// nodes is the set of names of processes.
func (k keys) nodes() string { return k.prefix + "roomtide:nodes" }

// lease holds the incarnation of the node's process while it is alive.
func (k keys) lease(node string) string { return k.prefix + "roomtide:node:" + node }
