package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

// spread asks the shards that own the items, all at the same time, each for its
// own, and calls take with each answer, one after the other. at says where the
// items are that were asked for.
func spread[T, A any](s *Store, items []T, slot func(*T) chat.Slot,
	ask func(r *Reader, items []T) ([]A, error), take func(answers []A, at []int)) error {
	by, at := make([][]T, len(s.shards)), make([][]int, len(s.shards))
	for i := range items {
		n := s.ShardOf(slot(&items[i]))
		by[n], at[n] = append(by[n], items[i]), append(at[n], i)
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs []error
	)
	for i := range by {
		if len(by[i]) == 0 {
			continue
		}
		wg.Go(func() {
			answers, err := ask(&s.shards[i].Reader, by[i])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			take(answers, at[i])
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func slotOfRoom(id *chat.RoomID) chat.Slot { return id.Slot() }

// Heads returns the rooms that exist with their newest messages, by id, asking
// all shards concerned at the same time.
func (s *Store) Heads(ctx context.Context, rooms []chat.RoomID) (map[chat.RoomID]Head, error) {
	out := make(map[chat.RoomID]Head, len(rooms))
	err := spread(s, rooms, slotOfRoom,
		func(r *Reader, ids []chat.RoomID) ([]Head, error) { return r.Heads(ctx, ids) },
		func(hs []Head, _ []int) {
			for _, h := range hs {
				out[h.Room.ID] = h
			}
		})
	return out, err
}

// Rooms is Heads without the messages, in no order.
func (s *Store) Rooms(ctx context.Context, rooms []chat.RoomID) ([]chat.Room, error) {
	var out []chat.Room
	err := spread(s, rooms, slotOfRoom,
		func(r *Reader, ids []chat.RoomID) ([]chat.Room, error) { return r.Rooms(ctx, ids) },
		func(rs []chat.Room, _ []int) { out = append(out, rs...) })
	return out, err
}

// Others is RoomLister.Others for rooms of all shards.
func (s *Store) Others(ctx context.Context, ranges []Range) ([]Others, error) {
	out := make([]Others, len(ranges))
	err := spread(s, ranges, func(r *Range) chat.Slot { return r.Room.Slot() },
		func(r *Reader, ranges []Range) ([]Others, error) { return r.Others(ctx, ranges) },
		func(os []Others, at []int) {
			for i, o := range os {
				out[at[i]] = o
			}
		})
	return out, err
}

// ListRooms is RoomLister.ListRooms for all shards.
func (s *Store) ListRooms(ctx context.Context, f RoomFilter) ([]chat.Room, error) {
	var out []chat.Room
	for _, shard := range s.shards {
		rooms, err := shard.ListRooms(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, rooms...)
	}
	slices.SortFunc(out, func(a, b chat.Room) int { return CursorOf(&a).Compare(f.Order, CursorOf(&b)) })
	return out[:min(len(out), f.Limit)], nil
}

// CursorOf is the place of a room in a list.
func CursorOf(r *chat.Room) RoomCursor { return RoomCursor{Active: r.Active, Room: r.ID} }

// Compare compares two places in a list of rooms of the given order.
func (c RoomCursor) Compare(o Order, d RoomCursor) int {
	if o == ByActivity && c.Active != d.Active {
		return cmp.Compare(d.Active, c.Active)
	}
	return cmp.Compare(c.Room, d.Room)
}

// RowsByKey is RowReader.RowsByKey for keys of all shards.
func (s *Store) RowsByKey(ctx context.Context, keys []RowKey) (*Rows, error) {
	var out Rows
	err := spread(s, keys, func(k *RowKey) chat.Slot { return k.Slot() },
		func(r *Reader, keys []RowKey) ([]*Rows, error) {
			rows, err := r.RowsByKey(ctx, keys)
			return []*Rows{rows}, err
		},
		func(rows []*Rows, _ []int) { out.Add(rows[0]) })
	return &out, err
}

// Recipients is PushReader.Recipients for users of all shards.
func (s *Store) Recipients(ctx context.Context, users []chat.UserID, rooms int) ([]Recipient, error) {
	out := make([]Recipient, len(users))
	err := spread(s, users, func(u *chat.UserID) chat.Slot { return u.Slot() },
		func(r *Reader, users []chat.UserID) ([]Recipient, error) { return r.Recipients(ctx, users, rooms) },
		func(rs []Recipient, at []int) {
			for i := range rs {
				out[at[i]] = rs[i]
			}
		})
	return out, err
}
