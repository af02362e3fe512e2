package bus

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/roomtide/roomtide/chat"
)

// DecodeBatch reads what AppendBatch appended and keeps nothing of data. Unknown
// fields are skipped, and an event of an unknown kind is returned as it is: a
// newer node may have sent it. An event of a known kind has all that its kind
// needs. The error is of kind Invalid.
func DecodeBatch(data []byte) (*Batch, error) {
	b := &Batch{}
	err := eachField(data, func(f *field) (err error) {
		switch f.tag {
		case batchLane:
			b.Lane = Lane(f.n)
		case batchAfter:
			b.After = int64(f.n)
		case batchPosition:
			b.Position = int64(f.n)
		case batchRooms:
			var r RoomEvents
			r, err = decodeRoomEvents(f.b)
			b.Rooms = append(b.Rooms, r)
		}
		return err
	})
	if err != nil {
		return nil, chat.Wrap(chat.Invalid, "bus.decode", err)
	}
	return b, nil
}

// decodeRoomEvents reads the room first, wherever it stands: the events need it.
func decodeRoomEvents(data []byte) (r RoomEvents, err error) {
	if err := eachField(data, func(f *field) error {
		if f.tag == roomEventsRoom {
			r.Room = chat.RoomID(f.b)
		}
		return nil
	}); err != nil {
		return r, err
	}
	err = eachField(data, func(f *field) error {
		switch f.tag {
		case roomEventsEvents:
			ev, err := decodeEvent(f.b, r.Room)
			r.Events = append(r.Events, ev)
			return err
		case roomEventsHistory:
			r.History = chat.Rev(f.n)
		}
		return nil
	})
	return r, err
}

func decodeEvent(data []byte, room chat.RoomID) (*chat.Event, error) {
	ev := &chat.Event{Room: room}
	err := eachField(data, func(f *field) (err error) {
		switch f.tag {
		case eventKind:
			ev.Kind, err = small[chat.EventKind](f.n)
		case eventRev:
			ev.Rev = chat.Rev(f.n)
		case eventFirst:
			ev.First = chat.Rev(f.n)
		case eventCount:
			ev.Count = int(f.n)
		case eventMessage:
			ev.Message, err = decodeMessage(f.b, room)
		case eventMember:
			ev.Member, err = decodeMember(f.b, room)
		case eventInfo:
			ev.Info, err = decodeInfo(f.b, room)
		case eventPresence:
			ev.Presence, err = decodePresence(f.b)
		case eventSeq:
			ev.Seq = chat.Seq(f.n)
		case eventUser:
			ev.User = chat.UserID(f.b)
		case eventEmoji:
			ev.Emoji = string(f.b)
		case eventOn:
			ev.On = f.n != 0
		case eventRoom:
			ev.Room = chat.RoomID(f.b)
		case eventMore:
			ev.More = f.n != 0
		case eventOwn:
			ev.Own = f.n != 0
		}
		return err
	})
	if err == nil && !whole(ev) {
		err = chat.E(chat.Invalid, "an event lacks the part that its kind needs")
	}
	return ev, err
}

// whole reports whether the event has the part that its kind needs.
func whole(ev *chat.Event) bool {
	switch ev.Kind {
	case chat.EventMessage, chat.EventEdited, chat.EventDeleted:
		return ev.Message != nil
	case chat.EventMember:
		return ev.Member != nil
	case chat.EventRoom:
		return ev.Info != nil
	case chat.EventPresence:
		return ev.Presence != nil
	}
	return true
}

func decodeMessage(data []byte, room chat.RoomID) (*chat.Message, error) {
	m := &chat.Message{Room: room}
	return m, eachField(data, func(f *field) (err error) {
		switch f.tag {
		case messageSeq:
			m.Seq = chat.Seq(f.n)
		case messageRev:
			m.Rev = chat.Rev(f.n)
		case messageCreated:
			m.Created = chat.Rev(f.n)
		case messageUser:
			m.User = chat.UserID(f.b)
		case messageName:
			m.Name = string(f.b)
		case messageText:
			m.Text = string(f.b)
		case messageTime:
			m.Time = int64(f.n)
		case messageKey:
			m.Key = string(f.b)
		case messageDigest:
			m.Digest = int64(f.n)
		case messageReplyTo:
			m.ReplyTo = chat.Seq(f.n)
		case messageData:
			m.Data = bytes.Clone(f.b)
		case messageEdited:
			m.Edited = int64(f.n)
		case messageDeleted:
			m.Deleted = f.n != 0
		case messageReactions:
			var r chat.Reaction
			r, err = decodeReaction(f.b)
			m.Reactions = append(m.Reactions, r)
		case messageRoom:
			m.Room = chat.RoomID(f.b)
		}
		return err
	})
}

func decodeReaction(data []byte) (r chat.Reaction, err error) {
	err = eachField(data, func(f *field) error {
		switch f.tag {
		case reactionEmoji:
			r.Emoji = string(f.b)
		case reactionUsers:
			r.Users = append(r.Users, chat.UserID(f.b))
		case reactionCount:
			r.Count = int(f.n)
		}
		return nil
	})
	return r, err
}

func decodeMember(data []byte, room chat.RoomID) (*chat.Member, error) {
	m := &chat.Member{Room: room}
	return m, eachField(data, func(f *field) (err error) {
		switch f.tag {
		case memberUser:
			m.User = chat.UserID(f.b)
		case memberName:
			m.Name = string(f.b)
		case memberRole:
			m.Role, err = small[chat.Role](f.n)
		case memberRev:
			m.Rev = chat.Rev(f.n)
		case memberSince:
			m.Since = int64(f.n)
		case memberAvatar:
			m.Avatar = string(f.b)
		case memberData:
			m.Data = string(f.b)
		case memberUntil:
			m.Until = int64(f.n)
		case memberRoom:
			m.Room = chat.RoomID(f.b)
		}
		return err
	})
}

func decodeInfo(data []byte, room chat.RoomID) (*chat.Room, error) {
	r := &chat.Room{ID: room}
	return r, eachField(data, func(f *field) error {
		switch f.tag {
		case roomTitle:
			r.Title = string(f.b)
		case roomOpen:
			r.Open = f.n != 0
		case roomReadOnly:
			r.ReadOnly = f.n != 0
		case roomLastSeq:
			r.LastSeq = chat.Seq(f.n)
		case roomRev:
			r.Rev = chat.Rev(f.n)
		case roomInfoRev:
			r.InfoRev = chat.Rev(f.n)
		case roomMembers:
			r.Members = int(f.n)
		case roomCreated:
			r.Created = int64(f.n)
		case roomTopic:
			r.Topic = string(f.b)
		case roomAvatar:
			r.Avatar = string(f.b)
		case roomData:
			r.Data = string(f.b)
		case roomID:
			r.ID = chat.RoomID(f.b)
		case roomActive:
			r.Active = int64(f.n)
		case roomArchived:
			r.Archived = f.n != 0
		case roomDeleted:
			r.Deleted = f.n != 0
		case roomFloor:
			r.Floor = chat.Rev(f.n)
		}
		return nil
	})
}

func decodePresence(data []byte) (*chat.Presence, error) {
	p := &chat.Presence{}
	return p, eachField(data, func(f *field) error {
		switch f.tag {
		case presenceOnline:
			p.Online = int(f.n)
		case presenceCame:
			p.Came = append(p.Came, chat.UserID(f.b))
		case presenceWent:
			p.Went = append(p.Went, chat.UserID(f.b))
		case presenceDegraded:
			p.Degraded = f.n != 0
		}
		return nil
	})
}

// field is one field of a message: its tag, and the value in n or, for the type
// text, in b. A known number with another wire type is another tag, so it is
// skipped like an unknown one.
type field struct {
	tag uint64
	n   uint64
	b   []byte
}

// eachField calls do for every field until it returns an error.
func eachField(data []byte, do func(f *field) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		f := field{tag: protowire.EncodeTag(num, typ)}
		switch typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			f.n, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := do(&f); err != nil {
			return err
		}
	}
	return nil
}

// small reads a number that has to fit into a byte.
func small[T ~uint8](n uint64) (T, error) {
	if n > math.MaxUint8 {
		return 0, chat.E(chat.Invalid, "a number is too large for its field")
	}
	return T(n), nil
}
