package bus

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/roomtide/roomtide/chat"
)

// The encoding of a batch is the wire format of Protocol Buffers with this
// schema. Fields are only ever added, with new numbers; a decoder skips the
// numbers that it does not know.
//
//	message Batch {
//	  int64 lane = 1; int64 after = 2; int64 position = 3;
//	  repeated RoomEvents rooms = 4;
//	}
//	message RoomEvents { string room = 1; repeated Event events = 2; int64 history = 3; }
//	message Event {
//	  int64 kind = 1; int64 rev = 2; int64 first = 3; int64 count = 4;
//	  Message message = 5; Member member = 6; Room info = 7; Presence presence = 8;
//	  int64 seq = 9; string user = 10; string emoji = 11; bool on = 12;
//	  optional string room = 13; bool more = 14; bool own = 15;
//	}
//	message Message {
//	  int64 seq = 1; int64 rev = 2; int64 created = 3; string user = 4;
//	  string text = 5; int64 time = 6; string key = 7; fixed64 digest = 8;
//	  int64 reply_to = 9; bytes data = 10; int64 edited = 11; bool deleted = 12;
//	  repeated Reaction reactions = 13; optional string room = 14; string name = 15;
//	}
//	message Reaction { string emoji = 1; repeated string users = 2; }
//	message Member {
//	  string user = 1; string name = 2; int64 role = 3; int64 rev = 4;
//	  int64 since = 5; optional string room = 6; string avatar = 7; string data = 8;
//	  int64 until = 9;
//	}
//	message Room {
//	  string title = 1; bool open = 2; bool read_only = 3; int64 last_seq = 4;
//	  int64 rev = 5; int64 info_rev = 6; int64 members = 7; int64 created = 8;
//	  optional string id = 9; int64 active = 10; bool archived = 11;
//	  bool deleted = 12; int64 floor = 13;
//	  string topic = 20; string avatar = 21; string data = 22;
//	}
//	message Presence {
//	  int64 online = 1; repeated string came = 2; repeated string went = 3; bool degraded = 4;
//	}
//
// The room stands once, in RoomEvents; the optional fields say otherwise where
// an event or a part of it names another room. An empty list is a missing one.
//
// The constants are tags: the number of a field with its wire type.
const (
	varint  = uint64(protowire.VarintType)
	fixed64 = uint64(protowire.Fixed64Type)
	text    = uint64(protowire.BytesType) // strings, bytes and nested messages

	batchLane, batchAfter, batchPosition, batchRooms = 1<<3 | varint, 2<<3 | varint, 3<<3 | varint, 4<<3 | text

	roomEventsRoom, roomEventsEvents, roomEventsHistory = 1<<3 | text, 2<<3 | text, 3<<3 | varint

	eventKind, eventRev, eventFirst, eventCount            = 1<<3 | varint, 2<<3 | varint, 3<<3 | varint, 4<<3 | varint
	eventMessage, eventMember, eventInfo, eventPresence    = 5<<3 | text, 6<<3 | text, 7<<3 | text, 8<<3 | text
	eventSeq, eventUser, eventEmoji, eventOn, eventRoom    = 9<<3 | varint, 10<<3 | text, 11<<3 | text, 12<<3 | varint, 13<<3 | text
	eventMore, eventOwn                                    = 14<<3 | varint, 15<<3 | varint
	messageSeq, messageRev, messageCreated, messageUser    = 1<<3 | varint, 2<<3 | varint, 3<<3 | varint, 4<<3 | text
	messageText, messageTime, messageKey, messageDigest    = 5<<3 | text, 6<<3 | varint, 7<<3 | text, 8<<3 | fixed64
	messageReplyTo, messageData, messageEdited             = 9<<3 | varint, 10<<3 | text, 11<<3 | varint
	messageDeleted, messageReactions                       = 12<<3 | varint, 13<<3 | text
	messageRoom, messageName                               = 14<<3 | text, 15<<3 | text
	reactionEmoji, reactionUsers, reactionCount            = 1<<3 | text, 2<<3 | text, 3<<3 | varint
	memberUser, memberName, memberRole                     = 1<<3 | text, 2<<3 | text, 3<<3 | varint
	memberRev, memberSince, memberRoom                     = 4<<3 | varint, 5<<3 | varint, 6<<3 | text
	memberAvatar, memberData, memberUntil                  = 7<<3 | text, 8<<3 | text, 9<<3 | varint
	roomTitle, roomOpen, roomReadOnly, roomLastSeq         = 1<<3 | text, 2<<3 | varint, 3<<3 | varint, 4<<3 | varint
	roomRev, roomInfoRev, roomMembers, roomCreated, roomID = 5<<3 | varint, 6<<3 | varint, 7<<3 | varint, 8<<3 | varint, 9<<3 | text
	roomTopic, roomAvatar, roomData                        = 20<<3 | text, 21<<3 | text, 22<<3 | text
	roomActive, roomArchived, roomDeleted, roomFloor       = 10<<3 | varint, 11<<3 | varint, 12<<3 | varint, 13<<3 | varint
	presenceOnline, presenceCame, presenceWent             = 1<<3 | varint, 2<<3 | text, 3<<3 | text
	presenceDegraded                                       = 4<<3 | varint
)

// AppendBatch appends the encoding of a batch, for drivers that carry it to
// another process.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = appendInt(dst, batchLane, b.Lane)
	dst = appendInt(dst, batchAfter, b.After)
	dst = appendInt(dst, batchPosition, b.Position)
	for i := range b.Rooms {
		r := &b.Rooms[i]
		dst = appendNested(dst, batchRooms, func(dst []byte) []byte {
			dst = appendString(dst, roomEventsRoom, r.Room)
			for _, ev := range r.Events {
				dst = appendNested(dst, roomEventsEvents, func(dst []byte) []byte { return appendEvent(dst, r.Room, ev) })
			}
			return appendInt(dst, roomEventsHistory, r.History)
		})
	}
	return dst
}

func appendEvent(dst []byte, room chat.RoomID, ev *chat.Event) []byte {
	dst = appendInt(dst, eventKind, ev.Kind)
	dst = appendInt(dst, eventRev, ev.Rev)
	dst = appendInt(dst, eventFirst, ev.First)
	dst = appendInt(dst, eventCount, ev.Count)
	if m := ev.Message; m != nil {
		dst = appendNested(dst, eventMessage, func(dst []byte) []byte { return appendMessage(dst, room, m) })
	}
	if m := ev.Member; m != nil {
		dst = appendNested(dst, eventMember, func(dst []byte) []byte { return appendMember(dst, room, m) })
	}
	if r := ev.Info; r != nil {
		dst = appendNested(dst, eventInfo, func(dst []byte) []byte { return appendInfo(dst, room, r) })
	}
	if p := ev.Presence; p != nil {
		dst = appendNested(dst, eventPresence, func(dst []byte) []byte {
			dst = appendInt(dst, presenceOnline, p.Online)
			dst = appendStrings(dst, presenceCame, p.Came)
			dst = appendStrings(dst, presenceWent, p.Went)
			return appendBool(dst, presenceDegraded, p.Degraded)
		})
	}
	dst = appendInt(dst, eventSeq, ev.Seq)
	dst = appendString(dst, eventUser, ev.User)
	dst = appendString(dst, eventEmoji, ev.Emoji)
	dst = appendBool(dst, eventOn, ev.On)
	dst = appendOtherRoom(dst, eventRoom, room, ev.Room)
	dst = appendBool(dst, eventMore, ev.More)
	return appendBool(dst, eventOwn, ev.Own)
}

func appendMessage(dst []byte, room chat.RoomID, m *chat.Message) []byte {
	dst = appendInt(dst, messageSeq, m.Seq)
	dst = appendInt(dst, messageRev, m.Rev)
	dst = appendInt(dst, messageCreated, m.Created)
	dst = appendString(dst, messageUser, m.User)
	dst = appendString(dst, messageName, m.Name)
	dst = appendString(dst, messageText, m.Text)
	dst = appendInt(dst, messageTime, m.Time)
	dst = appendString(dst, messageKey, m.Key)
	if m.Digest != 0 {
		dst = protowire.AppendFixed64(protowire.AppendVarint(dst, messageDigest), uint64(m.Digest))
	}
	dst = appendInt(dst, messageReplyTo, m.ReplyTo)
	if len(m.Data) > 0 {
		dst = protowire.AppendBytes(protowire.AppendVarint(dst, messageData), m.Data)
	}
	dst = appendInt(dst, messageEdited, m.Edited)
	dst = appendBool(dst, messageDeleted, m.Deleted)
	for i := range m.Reactions {
		r := &m.Reactions[i]
		dst = appendNested(dst, messageReactions, func(dst []byte) []byte {
			return appendInt(appendStrings(appendString(dst, reactionEmoji, r.Emoji), reactionUsers, r.Users), reactionCount, r.Count)
		})
	}
	return appendOtherRoom(dst, messageRoom, room, m.Room)
}

func appendMember(dst []byte, room chat.RoomID, m *chat.Member) []byte {
	dst = appendString(dst, memberUser, m.User)
	dst = appendString(dst, memberName, m.Name)
	dst = appendInt(dst, memberRole, m.Role)
	dst = appendInt(dst, memberRev, m.Rev)
	dst = appendInt(dst, memberSince, m.Since)
	dst = appendString(dst, memberAvatar, m.Avatar)
	dst = appendString(dst, memberData, m.Data)
	dst = appendInt(dst, memberUntil, m.Until)
	return appendOtherRoom(dst, memberRoom, room, m.Room)
}

func appendInfo(dst []byte, room chat.RoomID, r *chat.Room) []byte {
	dst = appendString(dst, roomTitle, r.Title)
	dst = appendBool(dst, roomOpen, r.Open)
	dst = appendBool(dst, roomReadOnly, r.ReadOnly)
	dst = appendInt(dst, roomLastSeq, r.LastSeq)
	dst = appendInt(dst, roomRev, r.Rev)
	dst = appendInt(dst, roomInfoRev, r.InfoRev)
	dst = appendInt(dst, roomMembers, r.Members)
	dst = appendInt(dst, roomCreated, r.Created)
	dst = appendOtherRoom(dst, roomID, room, r.ID)
	dst = appendInt(dst, roomActive, r.Active)
	dst = appendBool(dst, roomArchived, r.Archived)
	dst = appendBool(dst, roomDeleted, r.Deleted)
	dst = appendInt(dst, roomFloor, r.Floor)
	dst = appendString(dst, roomTopic, r.Topic)
	dst = appendString(dst, roomAvatar, r.Avatar)
	return appendString(dst, roomData, r.Data)
}

type integer interface {
	~int | ~int64 | ~uint8
}

// appendInt appends a field unless it is zero, as all functions below.
func appendInt[T integer](dst []byte, tag uint64, v T) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendVarint(dst, tag), uint64(v))
}

func appendBool(dst []byte, tag uint64, v bool) []byte {
	if !v {
		return dst
	}
	return append(protowire.AppendVarint(dst, tag), 1)
}

func appendString[T ~string](dst []byte, tag uint64, v T) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendVarint(dst, tag), string(v))
}

// appendStrings appends all strings, empty ones too.
func appendStrings[T ~string](dst []byte, tag uint64, vs []T) []byte {
	for _, v := range vs {
		dst = protowire.AppendString(protowire.AppendVarint(dst, tag), string(v))
	}
	return dst
}

// appendOtherRoom appends the room that an event or a part of it names, unless it
// is the one it is published in.
func appendOtherRoom(dst []byte, tag uint64, room, named chat.RoomID) []byte {
	if named == room {
		return dst
	}
	return protowire.AppendString(protowire.AppendVarint(dst, tag), string(named))
}

// appendNested appends what body appends as a nested message, with its length in
// front. An empty one is appended as well.
func appendNested(dst []byte, tag uint64, body func(dst []byte) []byte) []byte {
	dst = protowire.AppendVarint(dst, tag)
	start := len(dst)
	dst = body(dst)
	n := len(dst) - start
	size := protowire.SizeVarint(uint64(n))
	dst = append(dst, make([]byte, size)...)
	copy(dst[start+size:], dst[start:start+n])
	protowire.AppendVarint(dst[:start], uint64(n))
	return dst
}
