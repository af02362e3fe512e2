package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (r *Reader) UserRoom(ctx context.Context, user chat.UserID, room chat.RoomID) (store.UserRoom, error) {
	found := map[store.UserRoomKey]store.UserRoom{}
	k := store.UserRoomKey{User: user, Room: room}
	err := r.db.Ask(ctx, r.pickUserRooms([]store.UserRoomKey{k}, found)...)
	u, ok := found[k]
	if err == nil && !ok {
		err = r.notFound("user_room", "such user in room "+string(room))
	}
	return u, err
}

func (r *Reader) pickUserRooms(keys []store.UserRoomKey, found map[store.UserRoomKey]store.UserRoom) []Question {
	args := func(k store.UserRoomKey) []any { return append(userArgs(k.User), string(k.Room)) }
	return pick(r.d, userRoomColumns, "{user_rooms}", userRoomKey, keys, args, func(s Scanner) (store.UserRoomKey, error) {
		var u store.UserRoom
		err := scanUserRoom(s, &u)
		k := store.UserRoomKey{User: u.User, Room: u.Room}
		found[k] = u
		return k, err
	})
}

func (r *Reader) UserRooms(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) (us []store.UserRoom, err error) {
	err = r.db.Ask(ctx, userRooms(&us, user, after, limit))
	return us, err
}

func userRooms(out *[]store.UserRoom, user chat.UserID, after chat.RoomID, limit int) Question {
	return list(out, scanUserRoom, func(u *store.UserRoom) bool { return u.User == user && u.Room > after },
		"SELECT "+userRoomColumns+" FROM {user_rooms} WHERE slot = ? AND user_id = ? AND room_id > ? AND "+present+" ORDER BY room_id LIMIT ?",
		append(userArgs(user), string(after), int64(max(limit, 0)))...)
}

func (r *Reader) Users(ctx context.Context, ids []chat.UserID) ([]chat.User, error) {
	found := map[chat.UserID]chat.User{}
	if err := r.db.Ask(ctx, r.pickUsers(ids, found)...); err != nil {
		return nil, err
	}
	var us []chat.User
	for _, u := range found {
		us = append(us, u)
	}
	return us, nil
}

func (r *Reader) pickUsers(ids []chat.UserID, found map[chat.UserID]chat.User) []Question {
	return pick(r.d, userColumns, "{users}", userKey, ids, userArgs, func(s Scanner) (chat.UserID, error) {
		var u chat.User
		err := scanUser(s, &u)
		found[u.ID] = u
		return u.ID, err
	})
}

func (r *Reader) Access(ctx context.Context, user chat.UserID) (chat.Access, error) {
	found := map[chat.UserID]chat.Access{}
	err := r.db.Ask(ctx, r.pickAccess([]chat.UserID{user}, found)...)
	a, ok := found[user]
	if err == nil && !ok {
		err = r.notFound("access", "row of user "+string(user))
	}
	return a, err
}

func (r *Reader) pickAccess(ids []chat.UserID, found map[chat.UserID]chat.Access) []Question {
	return pick(r.d, accessColumns, "{user_access}", userKey, ids, userArgs, func(s Scanner) (chat.UserID, error) {
		var a chat.Access
		err := scanAccess(s, &a)
		found[a.User] = a
		return a.User, err
	})
}

func (r *Reader) Outbox(ctx context.Context, lane store.LaneID, after int64, limit int) (rows []store.OutboxRow, err error) {
	scan := func(s Scanner, row *store.OutboxRow) error {
		var of int64
		err := s.Scan(&of, &row.Position, &row.Body)
		if err == nil && of != int64(lane) {
			err = errMixed
		}
		return err
	}
	err = r.db.Ask(ctx, list(&rows, scan, func(row *store.OutboxRow) bool { return row.Position > after },
		"SELECT lane, position, body FROM {outbox} WHERE lane = ? AND position > ? ORDER BY position LIMIT ?",
		int64(lane), after, int64(max(limit, 0))))
	return rows, err
}

func (r *Reader) Cursors(ctx context.Context, lane store.LaneID) (cs []store.Cursor, err error) {
	scan := func(s Scanner, c *store.Cursor) error {
		var of int64
		err := s.Scan(&of, &c.Consumer, &c.Position)
		if err == nil && of != int64(lane) {
			err = errMixed
		}
		return err
	}
	err = r.db.Ask(ctx, list(&cs, scan, func(*store.Cursor) bool { return true },
		"SELECT lane, consumer, position FROM {cursors} WHERE lane = ? ORDER BY consumer", int64(lane)))
	return cs, err
}

func (r *Reader) Position(ctx context.Context, lane store.LaneID) (position int64, err error) {
	err = r.db.Ask(ctx, Question{
		Text: "SELECT lane, position FROM {lanes} WHERE lane = ?", Args: []any{int64(lane)},
		Row: func(s Scanner) error {
			var of int64
			err := s.Scan(&of, &position)
			if err == nil && of != int64(lane) {
				err = errMixed
			}
			return err
		},
	})
	return position, err
}
