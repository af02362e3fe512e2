package server

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

const (
	leaseFor   = 30 * time.Second // a node that is silent for so long is dead
	renewEvery = 10 * time.Second
	seatsAsked = 10_000 // seats read of one room at most
)

// seats keeps the store's note of who is online, which answers when the
// presence cache cannot. A seat counts while the lease of its node runs.
type seats struct {
	node  string
	store *store.Store
	lanes *lane.Lanes
	log   *slog.Logger
}

// note writes changes of presence, a batch for each lane. What cannot be
// written now is lost here, and told again by nobody: this is the answer of
// last resort, and wrong by a few users at worst.
func (s *seats) note(changes []presence.Change) {
	type part struct {
		at      chat.Slot
		changes []store.SeatChange
	}
	parts := map[int]*part{}
	for _, c := range changes {
		slot := c.Room.Slot()
		shard := s.store.ShardOf(slot)
		p := parts[shard]
		if p == nil {
			p = &part{at: slot}
			parts[shard] = p
		}
		p.changes = append(p.changes, store.SeatChange{Room: c.Room, Seat: store.Seat{User: c.User, Node: s.node}, On: c.On})
	}
	for _, p := range parts {
		s.submit(p.at, p.changes)
	}
}

// seatsATime is how many changes one op has: a crowd's must not hold a lane up.
const seatsATime = 50

// submit hands changes to a lane, each portion when the one before is written.
func (s *seats) submit(at chat.Slot, changes []store.SeatChange) {
	n := min(len(changes), seatsATime)
	s.lanes.Submit(&lane.Seats{At: at, Changes: changes[:n]}, func(r lane.Reply, err error) {
		s.noted(r, err)
		if err == nil && n < len(changes) {
			s.submit(at, changes[n:])
		}
	})
}

func (s *seats) noted(_ lane.Reply, err error) {
	if err != nil {
		s.log.Debug("who is online was not noted", "err", err)
	}
}

// clear removes what an earlier life of this node noted.
func (s *seats) clear() {
	for i := range s.store.Shards() {
		s.lanes.SubmitTo(i, &lane.Seats{Changes: []store.SeatChange{{Seat: store.Seat{Node: s.node}}}}, s.noted)
	}
}

// online answers who is online from the store.
func (s *seats) online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	alive, err := s.store.Control.Nodes(ctx, time.Now().UnixMilli())
	if err != nil {
		return nil, 0, err
	}
	noted, err := s.store.Room(room).Online(ctx, room, seatsAsked)
	if err != nil {
		return nil, 0, err
	}
	var users []chat.UserID
	for _, seat := range noted {
		if slices.Contains(alive, seat.Node) {
			users = append(users, seat.User)
		}
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return users[:min(limit, len(users))], len(users), nil
}

// live renews the node's lease until ctx ends.
func (s *seats) live(ctx context.Context) {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		if err := s.store.Control.Renew(ctx, s.node, time.Now().Add(leaseFor).UnixMilli()); err != nil && ctx.Err() == nil {
			s.log.Warn("cannot renew this node's lease", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
