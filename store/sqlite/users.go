package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	userColumns = "name, avatar, data, named"
	findUser    = "SELECT " + userColumns + " FROM users WHERE slot = ? AND user_id = ?"
	putUser     = `INSERT INTO users (slot, user_id, name, avatar, data, named) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (slot, user_id) DO UPDATE SET name = excluded.name, avatar = excluded.avatar,
			data = excluded.data, named = excluded.named`
)

func scanUser(s scanner, user chat.UserID, u *chat.User) error {
	u.ID = user
	return s.Scan(&u.Name, &u.Avatar, &u.Data, &u.Named)
}

func putUsers(w *writer, ch *store.Changes) error {
	for i := range ch.Users {
		u := &ch.Users[i]
		if _, err := w.exec(putUser, int64(u.ID.Slot()), string(u.ID), u.Name, u.Avatar, u.Data, u.Named); err != nil {
			return err
		}
	}
	return nil
}

func loadUsers(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Users, need.Users, func(id chat.UserID, u *chat.User) error {
		return w.row(findUser, func(s scanner) error { return scanUser(s, id, u) }, int64(id.Slot()), string(id))
	})
}

func (s *Shard) Users(ctx context.Context, users []chat.UserID) ([]chat.User, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return nil, s.db.fail("users", err)
	}
	var us []chat.User
	for _, id := range users {
		var u chat.User
		err := scanUser(s.find.user.QueryRowContext(ctx, id.Slot(), id), id, &u)
		switch {
		case err == nil:
			us = append(us, u)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, s.db.fail("users", err)
		}
	}
	return us, nil
}
