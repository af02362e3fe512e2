package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	accessColumns = "not_before, claimed"
	findAccess    = "SELECT " + accessColumns + " FROM user_access WHERE slot = ? AND user_id = ?"
	setAccess     = `INSERT INTO user_access (slot, user_id, not_before, claimed) VALUES (?, ?, ?, ?)
		ON CONFLICT (slot, user_id) DO UPDATE SET not_before = excluded.not_before, claimed = excluded.claimed`
)

func (s *Shard) Access(ctx context.Context, user chat.UserID) (chat.Access, error) {
	ctx, err := brief(ctx)
	if err != nil {
		return chat.Access{}, s.db.fail("access", err)
	}
	var a chat.Access
	err = scanAccess(s.find.access.QueryRowContext(ctx, user.Slot(), user), user, &a)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Access{}, notFound("access", string(user))
	}
	return a, s.db.fail("access", err)
}

func scanAccess(s scanner, user chat.UserID, a *chat.Access) error {
	a.User = user
	return s.Scan(&a.NotBefore, &a.Claimed)
}

func loadAccess(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Access, need.Access, func(user chat.UserID, a *chat.Access) error {
		return w.row(findAccess, func(s scanner) error { return scanAccess(s, user, a) }, int64(user.Slot()), string(user))
	})
}

func putAccess(w *writer, ch *store.Changes) error {
	for i := range ch.Access {
		a := &ch.Access[i]
		if _, err := w.exec(setAccess, int64(a.User.Slot()), string(a.User), a.NotBefore, a.Claimed); err != nil {
			return err
		}
	}
	return nil
}
