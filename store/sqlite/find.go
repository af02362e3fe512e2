package sqlite

import (
	"database/sql"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	roomColumns     = "title, open, read_only, last_seq, rev, info_rev, members, created, topic, avatar, data, active, archived, deleted, floor"
	memberColumns   = "user_id, name, role, rev, since, avatar, data, until"
	messageColumns  = "seq, coalesce(changed_rev, created_rev), created_rev, user_id, text, ts, coalesce(key, ''), digest, reply_to, data, edited, deleted, name"
	userRoomColumns = "room_id, role, rev, read_seq"
)

// The statements that look up one row, or the reactions under a run of
// messages.
const (
	findRoom      = "SELECT " + roomColumns + " FROM rooms WHERE slot = ? AND room_id = ?"
	findMember    = "SELECT " + memberColumns + " FROM members WHERE slot = ? AND room_id = ? AND user_id = ?"
	findMessage   = "SELECT " + messageColumns + " FROM messages WHERE slot = ? AND room_id = ? AND seq = ?"
	findKey       = "SELECT seq FROM messages WHERE slot = ? AND room_id = ? AND user_id = ? AND key = ?" // the index alone
	findUserRoom  = "SELECT " + userRoomColumns + " FROM user_rooms WHERE slot = ? AND user_id = ? AND room_id = ?"
	findReactions = `SELECT seq, emoji, user_id FROM reactions WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ?
		ORDER BY seq, ts, emoji, user_id`
)

// finds are those that readers use.
type finds struct {
	room, message, userRoom, user, access, reactions *sql.Stmt
}

func (f *finds) queries() []query {
	return []query{
		{&f.room, findRoom},
		{&f.message, findMessage},
		{&f.userRoom, findUserRoom},
		{&f.user, findUser},
		{&f.access, findAccess},
		{&f.reactions, findReactions},
	}
}

// scanner is *sql.Row, *sql.Rows or values.
type scanner interface{ Scan(dest ...any) error }

// The scans below read the columns of the constants above. What the question
// already said (the room, the user) is not read back.

func scanRoom(s scanner, id chat.RoomID, r *chat.Room) error {
	r.ID = id
	return s.Scan(&r.Title, &r.Open, &r.ReadOnly, (*int64)(&r.LastSeq), (*int64)(&r.Rev), (*int64)(&r.InfoRev), &r.Members, &r.Created,
		&r.Topic, &r.Avatar, &r.Data, &r.Active, &r.Archived, &r.Deleted, (*int64)(&r.Floor))
}

func scanMember(s scanner, room chat.RoomID, m *chat.Member) error {
	m.Room = room
	return s.Scan((*string)(&m.User), &m.Name, &m.Role, (*int64)(&m.Rev), &m.Since, &m.Avatar, &m.Data, &m.Until)
}

func scanMessage(s scanner, room chat.RoomID, m *chat.Message) error {
	m.Room = room
	return s.Scan((*int64)(&m.Seq), (*int64)(&m.Rev), (*int64)(&m.Created), (*string)(&m.User), &m.Text, &m.Time,
		&m.Key, &m.Digest, (*int64)(&m.ReplyTo), &m.Data, &m.Edited, &m.Deleted, &m.Name)
}

func scanUserRoom(s scanner, user chat.UserID, u *store.UserRoom) error {
	u.User = user
	return s.Scan((*string)(&u.Room), &u.Role, (*int64)(&u.Rev), (*int64)(&u.Read))
}

// collect reads rows to their end; scan reads one of them. size is a guess.
func collect[T any](rows *sql.Rows, size int, scan func(*T) error) ([]T, error) {
	defer rows.Close()
	var out []T
	if size > 0 {
		out = make([]T, 0, size)
	}
	for rows.Next() {
		var zero T
		out = append(out, zero)
		if err := scan(&out[len(out)-1]); err != nil {
			return nil, err
		}
	}
	return out, rows.Err()
}

// eachReaction tells the reactions under the messages from..to, by message and
// then in order of choosing.
func eachReaction(st *sql.Stmt, room chat.RoomID, from, to chat.Seq, fn func(chat.Seq, string, chat.UserID)) error {
	rows, err := st.Query(room.Slot(), room, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			seq         int64
			emoji, user string
		)
		if err := rows.Scan(&seq, &emoji, &user); err != nil {
			return err
		}
		fn(chat.Seq(seq), emoji, chat.UserID(user))
	}
	return rows.Err()
}

// addReaction puts one more choice into the list.
func addReaction(list []chat.Reaction, emoji string, user chat.UserID) []chat.Reaction {
	for i := range list {
		if list[i].Emoji == emoji {
			list[i].Users = append(list[i].Users, user)
			return list
		}
	}
	return append(list, chat.Reaction{Emoji: emoji, Users: []chat.UserID{user}})
}

// fillReactions fills the reactions of messages that follow each other without
// a hole. A tombstone has none, whatever was under the message.
func fillReactions(st *sql.Stmt, ms []chat.Message) error {
	if len(ms) == 0 {
		return nil
	}
	first := ms[0].Seq
	return eachReaction(st, ms[0].Room, first, ms[len(ms)-1].Seq, func(seq chat.Seq, emoji string, user chat.UserID) {
		if i := int(seq - first); i < len(ms) && !ms[i].Deleted {
			ms[i].Reactions = addReaction(ms[i].Reactions, emoji, user)
		}
	})
}
