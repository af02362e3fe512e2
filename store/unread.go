package store

import (
	"context"
	"errors"

	"github.com/roomtide/roomtide/chat"
)

// What is unread of a room is the messages behind the user's mark that others have
// written and that are not deleted. It is counted when asked for, so that a message
// writes nothing on the side of its readers, and among the newest
// UnreadWindow messages alone.

// UnreadRange is what to count of a room with messages up to last, for a user who has read it
// up to read; more says that the user has not read what lies before it either.
func UnreadRange(room chat.RoomID, user chat.UserID, read, last chat.Seq) (r Range, more bool) {
	r = Range{Room: room, User: user, From: read, To: last}
	if oldest := last - UnreadWindow; r.From < oldest {
		r.From, more = oldest, true
	}
	return r, more
}

var errUncounted = errors.New("what is unread cannot be counted")

// Unread returns how much is unread for each recipient in all their rooms together, but for
// archived ones, and of which recipients that could not be read: a shard that fails
// concerns those alone who have rooms there.
func (s *Store) Unread(ctx context.Context, rs []Recipient) (counts []int, failed []error) {
	counts, failed = make([]int, len(rs)), make([]error, len(rs))
	rooms, err := s.roomsOf(ctx, rs)
	var ranges []Range
	var of []int // by range: whose
	for i := range rs {
		for _, u := range rs[i].Rooms {
			room, known := rooms[u.Room]
			if !known {
				failed[i] = errors.Join(errUncounted, err)
				break
			}
			if room != nil && !room.Archived && u.Read < room.LastSeq {
				r, _ := UnreadRange(u.Room, u.User, u.Read, room.LastSeq)
				ranges, of = append(ranges, r), append(of, i)
			}
		}
	}
	counted := make([]bool, len(ranges))
	err = spread(s, ranges, func(r *Range) chat.Slot { return r.Room.Slot() },
		func(r *Reader, ranges []Range) ([]Others, error) { return r.Others(ctx, ranges) },
		func(os []Others, at []int) {
			for i, o := range os {
				counts[of[at[i]]] += o.Count
				counted[at[i]] = true
			}
		})
	for i := range counted {
		if !counted[i] {
			failed[of[i]] = errors.Join(errUncounted, err)
		}
	}
	return counts, failed
}

// roomsOf returns the rooms of recipients: nil where there is none, and without those of
// shards that fail, as err says.
func (s *Store) roomsOf(ctx context.Context, rs []Recipient) (map[chat.RoomID]*chat.Room, error) {
	asked := map[chat.RoomID]bool{}
	var ids []chat.RoomID
	for i := range rs {
		for _, u := range rs[i].Rooms {
			if !asked[u.Room] {
				asked[u.Room] = true
				ids = append(ids, u.Room)
			}
		}
	}
	rooms := make(map[chat.RoomID]*chat.Room, len(ids))
	err := spread(s, ids, slotOfRoom,
		func(r *Reader, ids []chat.RoomID) ([]chat.Room, error) { return r.Rooms(ctx, ids) },
		func(found []chat.Room, at []int) {
			for _, i := range at {
				rooms[ids[i]] = nil
			}
			for i := range found {
				rooms[found[i].ID] = &found[i]
			}
		})
	return rooms, err
}
