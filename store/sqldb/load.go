package sqldb

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Load asks for everything in one round trip.
func (r *Reader) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	st := store.NewState()
	qs := slices.Concat(
		r.pickRooms(need.Rooms, func(got *chat.Room) { st.Rooms[got.ID] = *got }),
		pick(r.d, memberColumns, "{members}", memberKey, need.Members, memberArgs, func(s Scanner) (store.MemberKey, error) {
			var m chat.Member
			err := scanMember(s, &m)
			k := store.MemberKey{Room: m.Room, User: m.User}
			st.Members[k] = m
			return k, err
		}),
		r.pickKeys(need.Keys, st),
		r.pickMessages(need.Messages, st),
		r.pickReactions(need.Reactions, st.Reactions),
		r.pickEmoji(need.Emoji, st.Emoji),
		r.pickUserRooms(need.UserRooms, st.UserRooms),
		r.pickUsers(need.Users, st.Users),
		r.pickAccess(need.Access, st.Access),
		r.pickPush(need, st),
		r.removals(need.Removals, st.Removals),
	)
	if err := r.lane.Ask(ctx, qs...); err != nil {
		return nil, err
	}
	for _, rem := range st.Removals {
		nextStep(rem)
	}
	return st, nil
}

// pickKeys finds messages by the key that their sender gave them.
func (r *Reader) pickKeys(keys []store.MessageKey, st *store.State) []Question {
	key := []Column{slot, roomID, userID, {Name: "send_key", Kind: ID}}
	args := func(k store.MessageKey) []any {
		return []any{int64(k.Room.Slot()), string(k.Room), string(k.User), k.Key}
	}
	return pick(r.d, messageColumns, "{messages} m", key, keys, args, func(s Scanner) (store.MessageKey, error) {
		var m chat.Message
		err := scanMessage(s, &m)
		k := store.MessageKey{Room: m.Room, User: m.User, Key: m.Key}
		st.Keys[k], st.Messages[store.MessageRef{Room: m.Room, Seq: m.Seq}] = m.Seq, m
		return k, err
	})
}

func (r *Reader) pickMessages(refs []store.MessageRef, st *store.State) []Question {
	return pick(r.d, messageColumns, "{messages} m", messageKey, refs, messageArgs, func(s Scanner) (store.MessageRef, error) {
		var m chat.Message
		err := scanMessage(s, &m)
		ref := store.MessageRef{Room: m.Room, Seq: m.Seq}
		st.Messages[ref] = m
		return ref, err
	})
}

func (r *Reader) pickReactions(keys []store.ReactionKey, found map[store.ReactionKey]bool) []Question {
	args := func(k store.ReactionKey) []any {
		return []any{int64(k.Room.Slot()), string(k.Room), int64(k.Seq), k.Emoji, string(k.User)}
	}
	return pick(r.d, "room_id, seq, emoji, user_id", "{reactions}", Reactions.Columns[:Reactions.Key], keys, args,
		func(s Scanner) (k store.ReactionKey, err error) {
			err = scanReaction(s, &k)
			found[k] = true
			return k, err
		})
}

func (r *Reader) pickEmoji(refs []store.MessageRef, found map[store.MessageRef]map[string]int) []Question {
	return pick(r.d, "room_id, seq, emoji, n", "{reaction_counts}", messageKey, refs, messageArgs, func(s Scanner) (store.MessageRef, error) {
		var ref store.MessageRef
		var emoji string
		var n int64
		err := s.Scan((*string)(&ref.Room), (*int64)(&ref.Seq), &emoji, &n)
		if found[ref] == nil {
			found[ref] = map[string]int{}
		}
		found[ref][emoji] = int(n)
		return ref, err
	})
}

// removals asks for what is left of rooms, of every kind.
func (r *Reader) removals(rooms []chat.RoomID, found map[chat.RoomID]*store.Removal) (qs []Question) {
	for _, id := range rooms {
		if found[id] != nil {
			continue
		}
		rem := &store.Removal{Room: id}
		found[id] = rem
		args := append(roomArgs(id), int64(store.RemovalRows))
		qs = append(qs,
			list(&rem.Members, scanMember, func(m *chat.Member) bool { return m.Room == id },
				"SELECT "+memberColumns+" FROM {members} WHERE slot = ? AND room_id = ? ORDER BY user_id LIMIT ?", args...),
			list(&rem.Reactions, scanReaction, func(k *store.ReactionKey) bool { return k.Room == id },
				"SELECT room_id, seq, emoji, user_id FROM {reactions} WHERE slot = ? AND room_id = ? ORDER BY seq, emoji, user_id LIMIT ?", args...),
			Question{
				Text: "SELECT room_id, seq FROM {messages} WHERE slot = ? AND room_id = ? ORDER BY seq LIMIT ?", Args: args,
				Row: func(s Scanner) error {
					var of chat.RoomID
					var seq chat.Seq
					err := s.Scan((*string)(&of), (*int64)(&seq))
					if err == nil && of != id {
						err = errMixed
					}
					if rem.To = seq; rem.From == 0 {
						rem.From = seq
					}
					return err
				},
			},
			online(&rem.Online, id, store.RemovalRows),
		)
	}
	return qs
}

// nextStep leaves the first kind of rows of which there are some.
func nextStep(r *store.Removal) {
	if len(r.Members) > 0 {
		r.Reactions = nil
	}
	if len(r.Members)+len(r.Reactions) > 0 {
		r.From, r.To = 0, 0
	}
	if len(r.Members)+len(r.Reactions) > 0 || r.To > 0 {
		r.Online = nil
	}
}
