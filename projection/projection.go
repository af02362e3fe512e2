// Package projection keeps the users' side of memberships, the rooms of a user, in
// step with the member rows of rooms. The two lie in different slots, and so
// perhaps in different shards: the member row is written with the room, and the
// user's row follows by way of the outbox.
package projection

import (
	"context"
	"sync"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
)

// Lanes is what the projection needs of lane.Lanes.
type Lanes interface {
	Submit(op change.Change, done change.Done)
	Do(ctx context.Context, op change.Change) (change.Reply, error)
}

// UserRooms returns the consumer that has each change of a member row applied by
// the lane of the user. Doing so twice changes nothing.
func UserRooms(lanes Lanes) outbox.Consumer {
	return outbox.Consumer{
		Name: "user-rooms", Start: outbox.FromOldest,
		Consume: func(_ context.Context, _ int, e *store.Entry) error { return apply(lanes, e) },
	}
}

// apply submits an entry's member rows, all at once, and waits for them: a lane
// answers, and soon.
func apply(lanes Lanes, e *store.Entry) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	done := func(_ change.Reply, err error) {
		if err != nil {
			mu.Lock()
			first = err
			mu.Unlock()
		}
		wg.Done()
	}
	for i := range e.Rooms {
		r := &e.Rooms[i]
		for _, m := range r.Members {
			wg.Add(1)
			lanes.Submit(&change.Project{Member: m, Seq: r.Seq}, done)
		}
	}
	wg.Wait()
	return first
}

// Rebuild brings the users' side of every membership up to the member rows,
// whatever the outbox says: rows that are missing are made, with everything
// read. progress is called now and then with the number of rows seen so far.
func Rebuild(ctx context.Context, st *store.Store, lanes Lanes, progress func(rows int)) error {
	rows := 0
	for _, s := range st.Shards() {
		err := s.EachMember(ctx, func(m chat.Member) error {
			room, err := s.Room(ctx, m.Room)
			if err != nil {
				return err
			}
			if _, err := lanes.Do(ctx, &change.Project{Member: m, Seq: room.LastSeq}); err != nil {
				return err
			}
			if rows++; rows%1000 == 0 {
				progress(rows)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	progress(rows)
	return nil
}
