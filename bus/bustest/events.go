package bustest

import (
	"fmt"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// commit is a batch of one message.
func commit(lane bus.Lane, position int64) *bus.Batch {
	room, rev := chat.RoomID(fmt.Sprint("room of ", lane)), chat.Rev(position)
	return &bus.Batch{Lane: lane, After: position - 1, Position: position, Rooms: []bus.RoomEvents{{
		Room: room, Events: []*chat.Event{{Kind: chat.EventMessage, Room: room, Rev: rev, Message: &chat.Message{
			Room: room, Seq: chat.Seq(rev), Rev: rev, Created: rev, User: "ann", Text: fmt.Sprint("text ", rev),
		}}},
	}}}
}

// EveryKind returns an event of every kind with every field that the kind has.
func EveryKind(room chat.RoomID) []*chat.Event {
	return []*chat.Event{
		{Kind: chat.EventMessage, Room: room, Rev: 1, Message: &chat.Message{
			Room: room, Seq: 1, Rev: 1, Created: 1, User: "ann", Text: "héllo\x00\"", Time: 1700000000123, Key: "k",
			Digest: -5, ReplyTo: 7, Data: []byte(`{"a":1}`), Edited: 3, Mentions: []chat.UserID{"bob", "cid"}, Reactions: []chat.Reaction{{Emoji: "👍", Count: 51, Users: []chat.UserID{"bob"}}}}},
		{Kind: chat.EventEdited, Room: room, Rev: 2, Message: &chat.Message{Room: room, Seq: 1, Rev: 2, Text: "new"}},
		{Kind: chat.EventDeleted, Room: room, Rev: 3, Message: &chat.Message{Room: room, Seq: 1, Rev: 3, Deleted: true}},
		{Kind: chat.EventReacted, Room: room, Rev: 4, Seq: 1, User: "ann", Emoji: "👍", On: true},
		{Kind: chat.EventMember, Room: room, Rev: 5, Member: &chat.Member{Room: room, User: "bob", Name: "Bob", Role: chat.RoleModerator, Rev: 5, Since: 9}},
		{Kind: chat.EventRoom, Room: room, Rev: 6, Info: &chat.Room{ID: room, Title: "t", Open: true, ReadOnly: true, LastSeq: 1, Rev: 6, InfoRev: 6, Members: 2, Created: 4}},
		{Kind: chat.EventMembers, Room: room, First: 7, Rev: 9, Count: 5000},
		{Kind: chat.EventPresence, Room: room, Presence: &chat.Presence{Online: 2, Came: []chat.UserID{"a"}, Went: []chat.UserID{"b"}, Degraded: true}},
		{Kind: chat.EventTyping, Room: room, User: "ann", On: true},
		{Kind: chat.EventRead, Room: room, User: "ann", Seq: 1},
	}
}
