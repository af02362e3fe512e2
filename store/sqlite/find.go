package sqlite

import (
	"database/sql"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	roomColumns     = "title, open, read_only, last_seq, rev, info_rev, members, created, topic, avatar, data, active, archived, deleted, floor"
	memberColumns   = "user_id, name, role, rev, since, avatar, data, until"
	messageColumns  = "seq, coalesce(changed_rev, created_rev), created_rev, user_id, text, ts, coalesce(key, ''), digest, reply_to, data, edited, deleted, name, coalesce(mentions, '')"
	userRoomColumns = "room_id, role, rev, read_seq"
)

// The statements that look up one row, or what is under one message.
const (
	findRoom     = "SELECT " + roomColumns + " FROM rooms WHERE slot = ? AND room_id = ?"
	findMember   = "SELECT " + memberColumns + " FROM members WHERE slot = ? AND room_id = ? AND user_id = ?"
	findMessage  = "SELECT " + messageColumns + " FROM messages WHERE slot = ? AND room_id = ? AND seq = ?"
	findKey      = "SELECT seq FROM messages WHERE slot = ? AND room_id = ? AND user_id = ? AND key = ?" // the index alone
	findUserRoom = "SELECT " + userRoomColumns + " FROM user_rooms WHERE slot = ? AND user_id = ? AND room_id = ?"
	findReaction = "SELECT 1 FROM reactions WHERE slot = ? AND room_id = ? AND seq = ? AND emoji = ? AND user_id = ?"
	findEmoji    = "SELECT emoji, count FROM reaction_counts WHERE slot = ? AND room_id = ? AND seq = ?"
)

// finds are those that readers use.
type finds struct {
	room, message, key, queue, position, userRoom, user, access *sql.Stmt
}

func (f *finds) queries() []query {
	return []query{
		{&f.room, findRoom},
		{&f.message, findMessage},
		{&f.key, findKey},
		{&f.queue, findQueue},
		{&f.position, "SELECT position FROM lanes WHERE lane = ?"},
		{&f.userRoom, findUserRoom},
		{&f.user, findUser},
		{&f.access, findAccess},
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
	var mentions string
	err := s.Scan((*int64)(&m.Seq), (*int64)(&m.Rev), (*int64)(&m.Created), (*string)(&m.User), &m.Text, &m.Time,
		&m.Key, &m.Digest, (*int64)(&m.ReplyTo), &m.Data, &m.Edited, &m.Deleted, &m.Name, &mentions)
	m.Mentions = store.SplitMentions(mentions)
	return err
}

func scanUserRoom(s scanner, user chat.UserID, u *store.UserRoom) error {
	u.User = user
	return s.Scan((*string)(&u.Room), &u.Role, (*int64)(&u.Rev), (*int64)(&u.Read))
}

// collect reads rows to their end; scan reads one of them. size is a guess.
func collect[T any](rows *sql.Rows, size int, scan func(*T) error) ([]T, error) {
	out, _, err := collectWhile(rows, size, func(v *T) (bool, error) { return true, scan(v) })
	return out, err
}

// collectWhile reads rows as long as scan says that they still fit; more says that
// there was one that did not.
func collectWhile[T any](rows *sql.Rows, size int, scan func(*T) (fits bool, err error)) (out []T, more bool, err error) {
	defer rows.Close()
	if size > 0 {
		out = make([]T, 0, size)
	}
	for rows.Next() {
		var zero T
		out = append(out, zero)
		fits, err := scan(&out[len(out)-1])
		if err != nil {
			return nil, false, err
		}
		if !fits {
			return out[:len(out)-1], true, rows.Close()
		}
	}
	return out, false, rows.Err()
}
