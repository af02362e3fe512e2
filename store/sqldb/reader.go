package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Reader is the reading half of store.Driver over an engine: everything but Acquire,
// Commit and Close. A method is a question or a few, in one round trip unless it says
// something else.
type Reader struct {
	db     Engine
	lane   Asker  // answers Load
	leases Engine // answers Lease and Unlease
	d      *Dialect
	name   string // of the shard
}

// NewReader returns a Reader of db. Load asks lane, which may be db itself, or the
// connection on which the lane commits. Leases are renewed by way of leases, which has a
// connection that nothing else uses: reads that hang would keep a node from renewing
// them, and lanes would go to another one.
func NewReader(name string, db Engine, lane Asker, leases Engine) *Reader {
	return &Reader{db: db, lane: lane, leases: leases, d: db.Dialect(), name: name}
}

func (r *Reader) notFound(op, subject string) error {
	return &chat.Error{Kind: chat.NotFound, Op: "sqldb." + op, Subject: r.name, Err: missing(subject)}
}

// missing is the error that a row does not exist.
type missing string

func (m missing) Error() string { return "there is no " + string(m) }

// The keys by which rows are picked.
var (
	roomKey     = []Column{slot, roomID}
	memberKey   = []Column{slot, roomID, userID}
	messageKey  = []Column{slot, roomID, seq}
	userKey     = []Column{slot, userID}
	userRoomKey = []Column{slot, userID, roomID}
)

func roomArgs(id chat.RoomID) []any { return []any{int64(id.Slot()), string(id)} }
func userArgs(id chat.UserID) []any { return []any{int64(id.Slot()), string(id)} }
func memberArgs(k store.MemberKey) []any {
	return []any{int64(k.Room.Slot()), string(k.Room), string(k.User)}
}
func messageArgs(k store.MessageRef) []any {
	return []any{int64(k.Room.Slot()), string(k.Room), int64(k.Seq)}
}

// pickRooms asks for rooms, deleted ones as well.
func (r *Reader) pickRooms(ids []chat.RoomID, got func(*chat.Room)) []Question {
	return pick(r.d, roomColumns, "{rooms}", roomKey, ids, roomArgs, func(s Scanner) (chat.RoomID, error) {
		var room chat.Room
		err := scanRoom(s, &room)
		if err == nil {
			got(&room)
		}
		return room.ID, err
	})
}

func (r *Reader) Room(ctx context.Context, id chat.RoomID) (room chat.Room, err error) {
	found := false
	err = r.db.Ask(ctx, r.pickRooms([]chat.RoomID{id}, func(got *chat.Room) { room, found = *got, !got.Deleted })...)
	if err == nil && !found {
		return chat.Room{}, r.notFound("room", "room "+string(id))
	}
	return room, err
}

func (r *Reader) Rooms(ctx context.Context, ids []chat.RoomID) ([]chat.Room, error) {
	found := map[chat.RoomID]chat.Room{}
	err := r.db.Ask(ctx, r.pickRooms(ids, func(got *chat.Room) { found[got.ID] = *got })...)
	if err != nil {
		return nil, err
	}
	var out []chat.Room
	for _, id := range ids { // in the order asked
		if room, ok := found[id]; ok && !room.Deleted {
			out = append(out, room)
		}
	}
	return out, nil
}

func (r *Reader) Heads(ctx context.Context, ids []chat.RoomID) ([]store.Head, error) {
	rooms, last := map[chat.RoomID]chat.Room{}, map[chat.RoomID]*chat.Message{}
	qs := r.pickRooms(ids, func(got *chat.Room) { rooms[got.ID] = *got })
	newest := "{rooms} r JOIN {messages} m ON m.slot = r.slot AND m.room_id = r.room_id AND m.seq = r.last_seq"
	if r.d.Lateral {
		newest = "{rooms} r CROSS JOIN LATERAL (SELECT * FROM {messages} m WHERE m.slot = r.slot AND m.room_id = r.room_id AND m.seq = r.last_seq OFFSET 0) m"
	}
	qs = append(qs, pick(r.d, messageColumns, newest,
		[]Column{{Name: "r.slot"}, {Name: "r.room_id", Kind: ID}}, ids, roomArgs, func(s Scanner) (chat.RoomID, error) {
			m := new(chat.Message)
			err := scanMessage(s, m)
			last[m.Room] = m
			return m.Room, err
		})...)
	if err := r.db.Ask(ctx, qs...); err != nil {
		return nil, err
	}
	var heads []store.Head
	for _, id := range ids {
		room, ok := rooms[id]
		if !ok || room.Deleted {
			continue
		}
		if m := last[id]; room.LastSeq == 0 && m != nil || room.LastSeq > 0 && (m == nil || m.Seq != room.LastSeq) {
			return nil, errMixed
		}
		heads = append(heads, store.Head{Room: room, Last: last[id]})
	}
	return heads, nil
}

func (r *Reader) HasRooms(ctx context.Context) (has bool, err error) {
	err = r.db.Ask(ctx, Question{Text: "SELECT slot FROM {rooms} LIMIT 1", Row: func(s Scanner) error {
		has = true
		return s.Scan(new(int64))
	}})
	return has, err
}

const (
	present = "role IN (1, 2, 3, 5)" // chat.Role.Present
	exists  = "EXISTS (SELECT 1 FROM {rooms} r WHERE r.slot = m.slot AND r.room_id = m.room_id AND r.deleted = 0)"
	member  = "SELECT " + memberColumns + " FROM {members} m WHERE slot = ? AND room_id = ? AND "
)

func (r *Reader) Member(ctx context.Context, room chat.RoomID, user chat.UserID) (chat.Member, error) {
	var ms []chat.Member
	err := r.db.Ask(ctx, list(&ms, scanMember, func(m *chat.Member) bool { return m.Room == room && m.User == user },
		member+"user_id = ? AND "+exists, memberArgs(store.MemberKey{Room: room, User: user})...))
	if err == nil && len(ms) != 1 {
		err = r.notFound("member", "such member of room "+string(room))
	}
	if err != nil {
		return chat.Member{}, err
	}
	return ms[0], nil
}

func (r *Reader) Members(ctx context.Context, room chat.RoomID, role chat.Role, after chat.UserID, limit int) (ms []chat.Member, err error) {
	with, args := present, memberArgs(store.MemberKey{Room: room, User: after})
	if role != chat.RoleNone {
		with, args = "role = ?", append(args, int64(role))
	}
	asked := func(m *chat.Member) bool {
		return m.Room == room && m.User > after && (role == chat.RoleNone || m.Role == role)
	}
	err = r.db.Ask(ctx, list(&ms, scanMember, asked,
		member+"user_id > ? AND "+with+" AND "+exists+" ORDER BY user_id LIMIT ?", append(args, int64(max(limit, 0)))...))
	return ms, err
}

func (r *Reader) AllMembers(ctx context.Context, after store.MemberKey, limit int) (ms []chat.Member, err error) {
	at := int64(-1) // before the first
	if after.Room != "" {
		at = int64(after.Room.Slot())
	}
	behind, args := r.d.behind([]string{"slot", "room_id", "user_id"}, at, string(after.Room), string(after.User))
	err = r.db.Ask(ctx, list(&ms, scanMember, func(m *chat.Member) bool { return int64(m.Room.Slot()) >= at },
		"SELECT "+memberColumns+" FROM {members} WHERE "+behind+" ORDER BY slot, room_id, user_id LIMIT ?",
		append(args, int64(max(limit, 0)))...))
	return ms, err
}

func (r *Reader) Online(ctx context.Context, room chat.RoomID, limit int) (es []store.OnlineEntry, err error) {
	err = r.db.Ask(ctx, online(&es, room, limit))
	return es, err
}

// online asks for the first entries of a room.
func online(es *[]store.OnlineEntry, room chat.RoomID, limit int) Question {
	scan := func(s Scanner, e *store.OnlineEntry) error {
		var of chat.RoomID
		err := s.Scan((*string)(&of), (*string)(&e.User), &e.Node)
		if err == nil && of != room {
			err = errMixed
		}
		return err
	}
	return list(es, scan, func(*store.OnlineEntry) bool { return true },
		"SELECT room_id, user_id, node FROM {online} WHERE slot = ? AND room_id = ? ORDER BY user_id, node LIMIT ?",
		append(roomArgs(room), int64(max(limit, 0)))...)
}
