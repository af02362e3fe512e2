package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Load reads on the writing connection. The lane that asks is the one that
// writes, so it waits for nobody; and this connection alone keeps its page
// cache over commits, which hold exactly the pages that the next batch needs,
// while a reader has to drop its own after each of them.
func (s *Shard) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	st := store.NewState()
	if need.Empty() {
		return st, nil
	}
	err := s.db.ownSnapshot(ctx, "load", func(tx *sql.Tx) error {
		for _, load := range []func(*sql.Tx, *store.Need, *store.State) error{
			s.loadRooms, s.loadMembers, s.loadKeys, s.loadMessages, s.loadReactions, s.loadUserRooms,
		} {
			if err := load(tx, need, st); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// lookup asks st for each key that is not in found yet. What does not exist is
// left out.
func lookup[K comparable, V any](found map[K]V, keys []K, st *sql.Stmt, ask func(*sql.Stmt, K, *V) error) error {
	for _, k := range keys {
		if _, ok := found[k]; ok {
			continue
		}
		var v V
		switch err := ask(st, k, &v); {
		case err == nil:
			found[k] = v
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

func (s *Shard) loadRooms(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.Rooms, need.Rooms, tx.Stmt(s.own.room), func(q *sql.Stmt, id chat.RoomID, r *chat.Room) error {
		return scanRoom(q.QueryRow(id.Slot(), id), id, r)
	})
}

func (s *Shard) loadMembers(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.Members, need.Members, tx.Stmt(s.own.member), func(q *sql.Stmt, k store.MemberKey, m *chat.Member) error {
		return scanMember(q.QueryRow(k.Room.Slot(), k.Room, k.User), k.Room, m)
	})
}

func (s *Shard) loadKeys(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.Keys, need.Keys, tx.Stmt(s.own.byKey), func(q *sql.Stmt, k store.MessageKey, seq *chat.Seq) error {
		var m chat.Message
		if err := scanMessage(q.QueryRow(k.Room.Slot(), k.Room, k.User, k.Key), k.Room, &m); err != nil {
			return err
		}
		*seq = m.Seq
		st.Messages[store.MessageRef{Room: k.Room, Seq: m.Seq}] = m
		return nil
	})
}

func (s *Shard) loadMessages(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.Messages, need.Messages, tx.Stmt(s.own.message), func(q *sql.Stmt, k store.MessageRef, m *chat.Message) error {
		return scanMessage(q.QueryRow(k.Room.Slot(), k.Room, k.Seq), k.Room, m)
	})
}

func (s *Shard) loadReactions(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.Reactions, need.Reactions, tx.Stmt(s.own.reactions), func(q *sql.Stmt, k store.MessageRef, list *[]chat.Reaction) error {
		err := eachReaction(q, k.Room, k.Seq, k.Seq, func(_ chat.Seq, emoji string, user chat.UserID) {
			*list = addReaction(*list, emoji, user)
		})
		if err == nil && *list == nil {
			err = sql.ErrNoRows
		}
		return err
	})
}

func (s *Shard) loadUserRooms(tx *sql.Tx, need *store.Need, st *store.State) error {
	return lookup(st.UserRooms, need.UserRooms, tx.Stmt(s.own.userRoom), func(q *sql.Stmt, k store.UserRoomKey, u *store.UserRoom) error {
		return scanUserRoom(q.QueryRow(k.User.Slot(), k.User, k.Room), k.User, u)
	})
}
