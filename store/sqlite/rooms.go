package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// lists are the statements that read a range of rows.
type lists struct {
	before, after                            *sql.Stmt // messages by seq
	createdRev, created, changed, memberRevs *sql.Stmt // for DeltaRows
	reactionsUp, reactionsDown               *sql.Stmt // by ascending and by descending seq
	member, members, byRole                  *sql.Stmt
	online, userRooms                        *sql.Stmt
	roomsByID, roomsByActivity               *sql.Stmt
	others, firstOther, written              *sql.Stmt
	outbox, cursors                          *sql.Stmt
	allMembers, anyRoom                      *sql.Stmt
}

// upTo limits a list. SQLite looks at the value of a bare "LIMIT ?" while it
// plans, and so plans again whenever the value is another one, which takes
// longer than most of these lists.
const upTo = "LIMIT ? + 0"

func (l *lists) queries() []query {
	const (
		messages = "SELECT " + messageColumns + " FROM messages WHERE slot = ? AND room_id = ? "
		members  = "SELECT " + memberColumns + " FROM members WHERE slot = ? AND room_id = ? "
		present  = "role IN (1, 2, 3, 5)" // chat.Role.Present
		others   = "slot = ? AND room_id = ? AND seq BETWEEN ? AND ? AND user_id <> ?"
		filter   = "deleted = 0 AND archived <= ? AND open BETWEEN ? AND ?"
		exists   = "EXISTS (SELECT 1 FROM rooms r WHERE r.slot = members.slot AND r.room_id = members.room_id AND r.deleted = 0)"
	)
	return []query{
		{&l.before, messages + "AND seq < ? ORDER BY seq DESC " + upTo},
		{&l.after, messages + "AND seq > ? ORDER BY seq " + upTo},
		{&l.reactionsUp, reactionsOf},
		{&l.reactionsDown, reactionsOf + " DESC"},
		{&l.createdRev, "SELECT created_rev FROM messages WHERE slot = ? AND room_id = ? AND seq = ?"},
		{&l.created, messages + "AND seq > ? AND created_rev > ? ORDER BY seq " + upTo},
		{&l.changed, messages + "AND changed_rev > ? ORDER BY changed_rev " + upTo},
		{&l.memberRevs, members + "AND rev > ? ORDER BY rev " + upTo},
		{&l.member, members + "AND user_id = ? AND " + exists},
		{&l.members, members + "AND user_id > ? AND " + present + " AND " + exists + " ORDER BY user_id " + upTo},
		{&l.byRole, members + "AND user_id > ? AND role = ? AND " + exists + " ORDER BY user_id " + upTo},
		{&l.online, "SELECT user_id, node FROM online WHERE slot = ? AND room_id = ? ORDER BY user_id, node " + upTo},
		{&l.userRooms, "SELECT " + userRoomColumns + " FROM user_rooms WHERE slot = ? AND user_id = ? AND room_id > ? AND " + present +
			" ORDER BY room_id " + upTo},
		{&l.roomsByID, "SELECT room_id, " + roomColumns + " FROM rooms WHERE room_id > ? AND room_id >= ? AND room_id < ? AND " +
			filter + " ORDER BY room_id " + upTo},
		{&l.roomsByActivity, "SELECT room_id, " + roomColumns + " FROM rooms WHERE (active < ? OR active = ? AND room_id > ?) AND " +
			"room_id >= ? AND room_id < ? AND " + filter + " ORDER BY active DESC, room_id " + upTo},
		{&l.others, "SELECT (SELECT count(*) FROM messages WHERE " + others + ") - " +
			"(SELECT count(*) FROM messages INDEXED BY messages_deleted WHERE " + others + " AND deleted <> 0)"},
		{&l.firstOther, "SELECT seq FROM messages WHERE " + others + " AND deleted = 0 ORDER BY seq LIMIT 1"},
		{&l.written, `SELECT slot, room_id, seq, user_id = ? AND deleted = 0 FROM messages
			WHERE (slot, room_id, seq) > (?, ?, ?) ORDER BY slot, room_id, seq ` + upTo},
		{&l.outbox, "SELECT position, body FROM outbox WHERE lane = ? AND position > ? ORDER BY position " + upTo},
		{&l.cursors, "SELECT consumer, position FROM cursors WHERE lane = ? ORDER BY consumer"},
		{&l.anyRoom, "SELECT EXISTS (SELECT 1 FROM rooms)"},
		{&l.allMembers, "SELECT room_id, " + memberColumns + ` FROM members
			WHERE (slot, room_id, user_id) > (?, ?, ?) ORDER BY slot, room_id, user_id ` + upTo},
	}
}

func (s *Shard) Room(ctx context.Context, room chat.RoomID) (chat.Room, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return chat.Room{}, s.db.fail("room", err)
	}
	var r chat.Room
	err = scanRoom(s.find.room.QueryRowContext(ctx, room.Slot(), room), room, &r)
	if errors.Is(err, sql.ErrNoRows) || err == nil && r.Deleted {
		return chat.Room{}, notFound("room", string(room))
	}
	return r, s.db.fail("room", err)
}

func (s *Shard) Messages(ctx context.Context, room chat.RoomID, p store.Page) (ms []chat.Message, more bool, err error) {
	space := store.Space{Items: max(p.Limit, 0), Bytes: p.Bytes}
	err = s.db.snapshot(ctx, "messages", func(tx *sql.Tx) error {
		q, reactions, from := s.list.before, s.list.reactionsDown, p.Before
		switch {
		case p.After != 0:
			q, reactions, from = s.list.after, s.list.reactionsUp, max(p.After, 0)
		case p.Before <= 0:
			from = math.MaxInt64 // the newest
		}
		var r chat.Room
		if err := scanRoom(tx.Stmt(s.find.room).QueryRow(room.Slot(), room), room, &r); r.Deleted || err != nil {
			return ignoreNoRows(err)
		}
		if ms, more, err = messages(tx.Stmt(q), room, space, from, space.Items+1); err != nil {
			return err
		}
		fit, err := fillReactions(tx.Stmt(reactions), ms, space)
		if fit < len(ms) {
			ms, more = ms[:fit], true
		}
		if p.After == 0 {
			slices.Reverse(ms)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return ms, more, nil
}

// ignoreNoRows makes an error of the fact that there is no row.
func ignoreNoRows(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// messages runs a statement that reads messages of a room, as many as fit into
// space. Its last argument is one more than space has items.
func messages(st *sql.Stmt, room chat.RoomID, space store.Space, args ...any) (ms []chat.Message, more bool, err error) {
	rows, err := st.Query(append([]any{room.Slot(), room}, args...)...)
	if err != nil {
		return nil, false, err
	}
	return collectWhile(rows, min(space.Items, 128), func(m *chat.Message) (bool, error) {
		err := scanMessage(rows, room, m)
		return space.Take(m.Size()), err
	})
}

func (s *Shard) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return chat.Member{}, s.db.fail("member", err)
	}
	var m chat.Member
	err = scanMember(s.list.member.QueryRowContext(ctx, room.Slot(), room, user), room, &m)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Member{}, notFound("member", string(room))
	}
	return m, s.db.fail("member", err)
}

func (s *Shard) Members(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID, limit int) ([]chat.Member, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("members", err)
	}
	q, args := s.list.members, []any{room.Slot(), room, after, max(limit, 0)}
	if role != chat.RoleNone {
		q, args = s.list.byRole, []any{room.Slot(), room, after, role, max(limit, 0)}
	}
	rows, err := q.QueryContext(ctx, args...)
	if err != nil {
		return nil, s.db.fail("members", err)
	}
	ms, err := collect(rows, 0, func(m *chat.Member) error { return scanMember(rows, room, m) })
	return ms, s.db.fail("members", err)
}

func (s *Shard) Online(ctx context.Context, room chat.RoomID, limit int) ([]store.OnlineEntry, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("online", err)
	}
	rows, err := s.list.online.QueryContext(ctx, room.Slot(), room, max(limit, 0))
	if err != nil {
		return nil, s.db.fail("online", err)
	}
	es, err := collect(rows, 0, func(e *store.OnlineEntry) error { return rows.Scan((*string)(&e.User), &e.Node) })
	return es, s.db.fail("online", err)
}

func (s *Shard) UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (store.UserRoom, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return store.UserRoom{}, s.db.fail("user_room", err)
	}
	var u store.UserRoom
	err = scanUserRoom(s.find.userRoom.QueryRowContext(ctx, user.Slot(), user, room), user, &u)
	if errors.Is(err, sql.ErrNoRows) {
		return store.UserRoom{}, notFound("user_room", string(room))
	}
	return u, s.db.fail("user_room", err)
}

func (s *Shard) UserRooms(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) ([]store.UserRoom, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("user_rooms", err)
	}
	rows, err := s.list.userRooms.QueryContext(ctx, user.Slot(), user, after, max(limit, 0))
	if err != nil {
		return nil, s.db.fail("user_rooms", err)
	}
	us, err := collect(rows, 0, func(u *store.UserRoom) error { return scanUserRoom(rows, user, u) })
	return us, s.db.fail("user_rooms", err)
}

func (s *Shard) AllMembers(ctx context.Context, after store.MemberKey, limit int) ([]chat.Member, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("all_members", err)
	}
	slot := -1 // before the first
	if after.Room != "" {
		slot = int(after.Room.Slot())
	}
	limit = max(limit, 0)
	rows, err := s.list.allMembers.QueryContext(ctx, slot, after.Room, after.User, limit)
	if err != nil {
		return nil, s.db.fail("all_members", err)
	}
	ms, err := collect(rows, min(limit, 512), func(m *chat.Member) error {
		return rows.Scan((*string)(&m.Room), (*string)(&m.User), &m.Name, &m.Role, (*int64)(&m.Rev), &m.Since,
			&m.Avatar, &m.Data, &m.Until)
	})
	return ms, s.db.fail("all_members", err)
}

func (s *Shard) HasRooms(ctx context.Context) (has bool, err error) {
	ctx, err = brief(ctx)
	if err == nil {
		err = s.list.anyRoom.QueryRowContext(ctx).Scan(&has)
	}
	return has, s.db.fail("has_rooms", err)
}
