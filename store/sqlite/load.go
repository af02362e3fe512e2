package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Load reads on the writer's connection. The lane that asks is the one that
// writes, so it waits for no other; and this connection alone keeps its page
// cache over commits, which holds exactly the pages that the next batch needs,
// while a reader has to drop its own after each of them.
func (s *Shard) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	st := store.NewState()
	if need.Empty() {
		return st, nil
	}
	err := s.db.ownSnapshot(ctx, "load", func(w *writer) error {
		for _, load := range []func(*writer, *store.Need, *store.State) error{
			loadRooms, loadMembers, loadKeys, loadMessages, loadReactions, loadEmoji, loadUserRooms,
			loadUsers, loadAccess, loadPush, loadRemovals,
		} {
			if err := load(w, need, st); err != nil {
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

// lookup calls ask for each key that is not in found yet. What does not exist is
// left out.
func lookup[K comparable, V any](found map[K]V, keys []K, ask func(K, *V) error) error {
	for _, k := range keys {
		if _, ok := found[k]; ok {
			continue
		}
		var v V
		switch err := ask(k, &v); {
		case err == nil:
			found[k] = v
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

func loadRooms(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Rooms, need.Rooms, func(id chat.RoomID, r *chat.Room) error {
		return w.row(findRoom, func(s scanner) error { return scanRoom(s, id, r) }, int64(id.Slot()), string(id))
	})
}

func loadMembers(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Members, need.Members, func(k store.MemberKey, m *chat.Member) error {
		return w.row(findMember, func(s scanner) error { return scanMember(s, k.Room, m) },
			int64(k.Room.Slot()), string(k.Room), string(k.User))
	})
}

// loadKeys asks the index first, because a key is new almost always.
func loadKeys(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Keys, need.Keys, func(k store.MessageKey, seq *chat.Seq) error {
		err := w.row(findKey, func(s scanner) error { return s.Scan((*int64)(seq)) },
			int64(k.Room.Slot()), string(k.Room), string(k.User), k.Key)
		if err != nil {
			return err
		}
		ref := store.MessageRef{Room: k.Room, Seq: *seq}
		m, err := loadMessage(w, ref)
		if errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("message %d is in the index of keys only", *seq)
		}
		if err == nil {
			st.Messages[ref] = m
		}
		return err
	})
}

func loadMessages(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Messages, need.Messages, func(k store.MessageRef, m *chat.Message) (err error) {
		*m, err = loadMessage(w, k)
		return err
	})
}

func loadMessage(w *writer, k store.MessageRef) (m chat.Message, err error) {
	err = w.row(findMessage, func(s scanner) error { return scanMessage(s, k.Room, &m) },
		int64(k.Room.Slot()), string(k.Room), int64(k.Seq))
	return m, err
}

func loadReactions(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Reactions, need.Reactions, func(k store.ReactionKey, stands *bool) error {
		return w.row(findReaction, func(s scanner) error { return s.Scan(stands) },
			int64(k.Room.Slot()), string(k.Room), int64(k.Seq), k.Emoji, string(k.User))
	})
}

func loadEmoji(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.Emoji, need.Emoji, func(k store.MessageRef, counts *map[string]int) error {
		err := w.each(findEmoji, func(s scanner) error {
			var emoji string
			var n int
			err := s.Scan(&emoji, &n)
			if *counts == nil {
				*counts = map[string]int{}
			}
			(*counts)[emoji] = n
			return err
		}, int64(k.Room.Slot()), string(k.Room), int64(k.Seq))
		if err == nil && *counts == nil {
			err = sql.ErrNoRows
		}
		return err
	})
}

func loadUserRooms(w *writer, need *store.Need, st *store.State) error {
	return lookup(st.UserRooms, need.UserRooms, func(k store.UserRoomKey, u *store.UserRoom) error {
		return w.row(findUserRoom, func(s scanner) error { return scanUserRoom(s, k.User, u) },
			int64(k.User.Slot()), string(k.User), string(k.Room))
	})
}
