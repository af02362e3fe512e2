package sqlite

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// The statements that find what is left of a room, and remove it.
const (
	leftMembers   = "SELECT " + memberColumns + " FROM members WHERE slot = ? AND room_id = ? ORDER BY user_id " + upTo
	leftReactions = "SELECT seq, emoji, user_id FROM reactions WHERE slot = ? AND room_id = ? ORDER BY seq, emoji, user_id " + upTo
	leftMessages  = `SELECT coalesce(min(seq), 0), coalesce(max(seq), 0)
		FROM (SELECT seq FROM messages WHERE slot = ? AND room_id = ? ORDER BY seq ` + upTo + ")"
	leftOnline = "SELECT user_id, node FROM online WHERE slot = ? AND room_id = ? ORDER BY user_id, node " + upTo

	deleteMember   = "DELETE FROM members WHERE slot = ? AND room_id = ? AND user_id = ?"
	deleteMessages = "DELETE FROM messages WHERE slot = ? AND room_id = ? AND seq BETWEEN ? AND ?"
)

func loadRemovals(w *writer, need *store.Need, st *store.State) error {
	for _, id := range need.Removals {
		r := &store.Removal{Room: id}
		for _, load := range []func(*writer, *store.Removal) error{loadLeftMembers, loadLeftReactions, loadLeftMessages, loadLeftOnline} {
			if err := load(w, r); err != nil {
				return err
			}
			if !r.Empty() {
				break
			}
		}
		st.Removals[id] = r
	}
	return nil
}

func loadLeftMembers(w *writer, r *store.Removal) error {
	return w.each(leftMembers, func(s scanner) error {
		var m chat.Member
		err := scanMember(s, r.Room, &m)
		r.Members = append(r.Members, m)
		return err
	}, int64(r.Room.Slot()), string(r.Room), int64(store.RemovalRows))
}

func loadLeftReactions(w *writer, r *store.Removal) error {
	return w.each(leftReactions, func(s scanner) error {
		k := store.ReactionKey{Room: r.Room}
		err := s.Scan((*int64)(&k.Seq), &k.Emoji, (*string)(&k.User))
		r.Reactions = append(r.Reactions, k)
		return err
	}, int64(r.Room.Slot()), string(r.Room), int64(store.RemovalRows))
}

func loadLeftMessages(w *writer, r *store.Removal) error {
	return w.row(leftMessages, func(s scanner) error { return s.Scan((*int64)(&r.From), (*int64)(&r.To)) },
		int64(r.Room.Slot()), string(r.Room), int64(store.RemovalRows))
}

func loadLeftOnline(w *writer, r *store.Removal) error {
	return w.each(leftOnline, func(s scanner) error {
		var e store.OnlineEntry
		err := s.Scan((*string)(&e.User), &e.Node)
		r.Online = append(r.Online, e)
		return err
	}, int64(r.Room.Slot()), string(r.Room), int64(store.RemovalRows))
}

func putRemovals(w *writer, ch *store.Changes) error {
	for _, r := range ch.Removals {
		if err := remove(w, r); err != nil {
			return err
		}
	}
	return nil
}

func remove(w *writer, r *store.Removal) error {
	slot, room := int64(r.Room.Slot()), string(r.Room)
	for i := range r.Members {
		if _, err := w.exec(deleteMember, slot, room, string(r.Members[i].User)); err != nil {
			return err
		}
	}
	for _, k := range r.Reactions {
		if _, err := w.exec(deleteReaction, slot, room, int64(k.Seq), k.Emoji, string(k.User)); err != nil {
			return err
		}
	}
	if r.To > 0 {
		if _, err := w.exec(deleteMessages, slot, room, int64(r.From), int64(r.To)); err != nil {
			return err
		}
	}
	for _, e := range r.Online {
		if _, err := w.exec(deleteOnline, slot, room, string(e.User), e.Node); err != nil {
			return err
		}
	}
	return nil
}
