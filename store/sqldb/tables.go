package sqldb

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// ColumnKind is what is in a column. Integers have 64 bits.
type ColumnKind uint8

const (
	Int   ColumnKind = iota
	ID               // text that is compared byte for byte: ids, keys, emoji
	Text             // text that users read: every character of Unicode, never compared
	Bytes            // bytes that come back as they went
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind ColumnKind
	Null bool
}

// Table is a table whose rows are written as they are. The first Key columns are the
// primary key.
type Table struct {
	Name    string
	Columns []Column
	Key     int
}

// The columns of keys. ts is a time, n a count: words that no engine has reserved.
var (
	slot   = Column{Name: "slot"}
	roomID = Column{Name: "room_id", Kind: ID}
	userID = Column{Name: "user_id", Kind: ID}
	seq    = Column{Name: "seq"}
	emoji  = Column{Name: "emoji", Kind: ID}
	node   = Column{Name: "node", Kind: ID}

	deviceID = Column{Name: "device_id", Kind: ID}
	topic    = Column{Name: "topic", Kind: ID}
	digest   = Column{Name: "digest", Kind: ID}
)

// The tables. Room and Member… make the values of a row of them.
var (
	Rooms = Table{"rooms", append([]Column{slot, roomID}, columns(
		Text, "title", Int, "open", Int, "read_only", Int, "last_seq", Int, "rev", Int, "info_rev", Int, "members", Int, "created",
		Text, "topic", Text, "avatar", Bytes, "data", Int, "active", Int, "archived", Int, "deleted", Int, "floor")...), 2}
	Members = Table{"members", append([]Column{slot, roomID, userID}, columns(
		Text, "name", Int, "role", Int, "rev", Int, "since", Text, "avatar", Bytes, "data", Int, "until")...), 3}
	Messages = Table{"messages", []Column{
		slot, roomID, seq, {Name: "created_rev"}, {Name: "changed_rev", Null: true}, userID, {Name: "ts"},
		{Name: "body", Kind: Text}, {Name: "send_key", Kind: ID, Null: true}, {Name: "digest"}, {Name: "reply_to"},
		{Name: "data", Kind: Bytes, Null: true}, {Name: "edited"}, {Name: "deleted"}, {Name: "name", Kind: Text},
		{Name: "mentions", Kind: Text, Null: true},
	}, 3}
	Reactions = Table{"reactions", []Column{slot, roomID, seq, emoji, userID, {Name: "ts"}}, 5}
	Online    = Table{"online", []Column{slot, roomID, userID, node}, 4}
	UserRooms = Table{"user_rooms", []Column{slot, userID, roomID, {Name: "role"}, {Name: "rev"}, {Name: "read_seq"}}, 3}
	Users     = Table{"users", append([]Column{slot, userID}, columns(Text, "name", Text, "avatar", Bytes, "data", Int, "named")...), 2}
	Access    = Table{"user_access", []Column{slot, userID, {Name: "not_before"}, {Name: "claimed"}}, 2}

	Devices = Table{"devices", append([]Column{slot, userID, deviceID}, columns(
		ID, "provider", Bytes, "address", Int, "registered", Int, "seen", Text, "language")...), 3}
	PushSettings = Table{"push_settings", append([]Column{slot, userID, roomID}, columns(
		Int, "push_level", Int, "mute_until", Int, "quiet_from", Int, "quiet_to", Text, "time_zone", Int, "hide_content")...), 3}
	PushJobs = Table{"push_jobs", append([]Column{slot, userID, topic, deviceID}, columns(
		Int, "made", Int, "state", Int, "silent", Int, "mention", Int, "shown", Int, "seq", Int, "due", Int, "expires",
		Int, "attempts", Text, "reason", Text, "title", Text, "body", Bytes, "data")...), 4}
	PushOwners = Table{"push_owners", []Column{slot, digest, userID, deviceID, {Name: "seen"}}, 2}
	UserNodes  = Table{"user_nodes", []Column{slot, userID, {Name: "nodes", Kind: Text}}, 2}

	Outbox  = Table{"outbox", []Column{{Name: "lane"}, {Name: "position"}, {Name: "body", Kind: Bytes}}, 2}
	Cursors = Table{"cursors", []Column{{Name: "lane"}, {Name: "consumer", Kind: ID}, {Name: "position"}}, 2}
	Taken   = Table{"taken", []Column{{Name: "lane"}, {Name: "queue"}, {Name: "senders", Kind: Bytes}}, 1}
)

// columns makes columns of kinds and names by turns.
func columns(kindsAndNames ...any) (cs []Column) {
	for i := 0; i < len(kindsAndNames); i += 2 {
		cs = append(cs, Column{Name: kindsAndNames[i+1].(string), Kind: kindsAndNames[i].(ColumnKind)})
	}
	return cs
}

func names(cs []Column) []string {
	out := make([]string, len(cs))
	for i := range cs {
		out[i] = cs[i].Name
	}
	return out
}

// Flag is the stored form of what is true or false.
func Flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// The functions below append the values of a row to row, in the order of the table's
// columns, and return it.

func RoomValues(row []any, r *chat.Room) []any {
	return append(row, int64(r.ID.Slot()), string(r.ID), r.Title, Flag(r.Open), Flag(r.ReadOnly), int64(r.LastSeq),
		int64(r.Rev), int64(r.InfoRev), int64(r.Members), r.Created, r.Topic, r.Avatar, []byte(r.Data), r.Active,
		Flag(r.Archived), Flag(r.Deleted), int64(r.Floor))
}

func MemberValues(row []any, m *chat.Member) []any {
	return append(row, int64(m.Room.Slot()), string(m.Room), string(m.User), m.Name, int64(m.Role), int64(m.Rev), m.Since,
		m.Avatar, []byte(m.Data), m.Until)
}

// MessageValues has NULL where there is no key, no data, no change or no mention.
func MessageValues(row []any, m *chat.Message) []any {
	var key, changed, data any
	if m.Key != "" {
		key = m.Key
	}
	if m.Rev != m.Created {
		changed = int64(m.Rev)
	}
	if m.Data != nil {
		data = m.Data
	}
	return append(row, int64(m.Room.Slot()), string(m.Room), int64(m.Seq), int64(m.Created), changed, string(m.User), m.Time,
		m.Text, key, m.Digest, int64(m.ReplyTo), data, m.Edited, Flag(m.Deleted), m.Name, store.JoinMentions(m.Mentions))
}

func ReactionValues(row []any, r *store.ReactionChange) []any {
	return append(row, int64(r.Room.Slot()), string(r.Room), int64(r.Seq), r.Emoji, string(r.User), r.Time)
}

func OnlineValues(row []any, c *store.OnlineChange) []any {
	return append(row, int64(c.Room.Slot()), string(c.Room), string(c.User), c.Node)
}

func UserRoomValues(row []any, u *store.UserRoom) []any {
	return append(row, int64(u.User.Slot()), string(u.User), string(u.Room), int64(u.Role), int64(u.Rev), int64(u.Read))
}

func UserValues(row []any, u *chat.User) []any {
	return append(row, int64(u.ID.Slot()), string(u.ID), u.Name, u.Avatar, []byte(u.Data), u.Named)
}

func AccessValues(row []any, a *chat.Access) []any {
	return append(row, int64(a.User.Slot()), string(a.User), a.NotBefore, Flag(a.Claimed))
}
