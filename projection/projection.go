// Package projection keeps copies of rows in step with what they are copied from,
// where the two lie in different slots, and so perhaps in different shards: the rooms
// of a user with the member rows of rooms (UserRooms), and the names in member rows
// with the profiles of users (Names). The copy follows by way of the outbox.
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

// apply brings the users' side of an entry's member rows up to date.
func apply(lanes Lanes, e *store.Entry) error {
	var changes []change.Change
	for i := range e.Rooms {
		r := &e.Rooms[i]
		for _, m := range r.Members {
			changes = append(changes, &change.Project{Member: m, Seq: r.Seq})
		}
	}
	return submit(lanes, changes)
}

// submit submits changes, all at once, and waits for them: a lane answers, and soon.
// It returns an error that one of them met.
func submit(lanes Lanes, changes []change.Change) error {
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
	wg.Add(len(changes))
	for _, c := range changes {
		lanes.Submit(c, done)
	}
	wg.Wait()
	return first
}

// Rebuild brings the users' side of every membership up to the member rows,
// whatever the outbox says: rows that are missing are made, with everything
// read. progress is called now and then, and at the end of each shard, with the shard
// and the number of its rows seen so far.
func Rebuild(ctx context.Context, st *store.Store, lanes Lanes, progress func(shard string, rows int)) error {
	for _, s := range st.Shards() {
		rows := 0
		err := s.EachMember(ctx, func(m chat.Member) error {
			room, err := s.Room(ctx, m.Room)
			if chat.KindOf(err) == chat.NotFound { // deleted: its members go with it
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := lanes.Do(ctx, &change.Project{Member: m, Seq: room.LastSeq, Floor: room.Floor}); err != nil {
				return err
			}
			if rows++; rows%1000 == 0 {
				progress(s.Name(), rows)
			}
			return nil
		})
		if err != nil {
			return err
		}
		progress(s.Name(), rows)
	}
	return nil
}
