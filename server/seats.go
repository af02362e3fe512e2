package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

const (
	writeEvery = 20 * time.Second // what has waited once or twice as long
	seatsAsked = 10_000           // seats read of one room at most
)

// seats keeps the store's note of who is online, which answers when the
// presence cache cannot. A seat counts while the lease of its node runs.
//
// Changes are written when they are 20 to 40 seconds old. Most are of people who
// are back by then, when a network or a proxy has failed of thousands at once:
// what was undone meanwhile is not written at all.
type seats struct {
	// Set once.
	node  string
	nodes func(context.Context) ([]string, error) // that are alive
	store *store.Store
	lanes *lane.Lanes
	log   *slog.Logger

	// Safe for any goroutine.
	writing atomic.Int32 // lanes that have not written all of the last write
	handed  atomic.Int64 // changes of the last write that are not written yet
	undone  atomic.Uint64
	lost    atomic.Uint64

	mu         sync.Mutex
	young, old waiting
}

// waiting are changes that are not written yet.
type waiting map[chat.RoomID]map[chat.UserID]bool

// undo drops a change if the opposite of it waits, and reports whether it does.
func (w waiting) undo(c presence.Change) bool {
	on, there := w[c.Room][c.User]
	if !there || on == c.On {
		return false
	}
	if delete(w[c.Room], c.User); len(w[c.Room]) == 0 {
		delete(w, c.Room)
	}
	return true
}

func (w waiting) len() (n int) {
	for _, users := range w {
		n += len(users)
	}
	return n
}

// show registers what the queue counts.
func (s *seats) show(reg prometheus.Registerer) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "roomtide", Subsystem: "seats", Name: name, Help: help}
	}
	count := func(name, help string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts(opts(name, help)), func() float64 { return float64(n.Load()) })
	}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("waiting", "Changes of who is online that wait to be noted in the store.")), func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(int64(s.young.len()+s.old.len()) + s.handed.Load())
		}),
		count("undone_total", "Changes of who is online that were undone before they were noted.", &s.undone),
		count("lost_total", "Changes of who is online that could not be noted.", &s.lost),
	)
}

// note takes changes of presence. For one user in one room on and off alternate.
func (s *seats) note(changes []presence.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if s.young.undo(c) || s.old.undo(c) {
			s.undone.Add(1)
			continue
		}
		if s.young == nil {
			s.young = waiting{}
		}
		if s.young[c.Room] == nil {
			s.young[c.Room] = map[chat.UserID]bool{}
		}
		s.young[c.Room][c.User] = c.On
	}
}

// write hands what has waited long enough to the lanes. What cannot be written is
// lost, and told again by nobody: this is the answer of last resort, and wrong by
// a few users at worst. While the last write is under way nothing new is begun: a
// seat's changes must not overtake one another.
func (s *seats) write() {
	if s.writing.Load() > 0 {
		return
	}
	s.mu.Lock()
	due := s.old
	s.old, s.young = s.young, nil
	s.mu.Unlock()
	parts := make([][]store.OnlineChange, len(s.store.Shards()))
	for room, users := range due {
		shard := s.store.ShardOf(room.Slot())
		parts[shard] = slices.Grow(parts[shard], len(users))
		for user, on := range users {
			parts[shard] = append(parts[shard], store.OnlineChange{Room: room, OnlineEntry: store.OnlineEntry{User: user, Node: s.node}, On: on})
		}
	}
	for _, changes := range parts {
		if len(changes) > 0 {
			s.writing.Add(1)
			s.handed.Add(int64(len(changes)))
			s.submit(changes)
		}
	}
}

// A crowd's changes must not hold a lane up: one op has so many, and the next
// comes that much after it is written.
const (
	seatsATime = 50
	seatsPause = 10 * time.Millisecond
)

// submit hands changes of one shard to its lane, in portions. Those that wait
// when the lanes are closed are lost; clear makes up for it.
func (s *seats) submit(changes []store.OnlineChange) {
	n := min(len(changes), seatsATime)
	s.lanes.Submit(&lane.Seats{At: changes[0].Room.Slot(), Changes: changes[:n]}, func(r lane.Reply, err error) {
		s.noted(r, err)
		if err != nil {
			s.lost.Add(uint64(len(changes)))
			n = len(changes) // the rest goes with them
		}
		s.handed.Add(int64(-n))
		if n == len(changes) {
			s.writing.Add(-1)
			return
		}
		time.AfterFunc(seatsPause, func() { s.submit(changes[n:]) })
	})
}

func (s *seats) noted(_ lane.Reply, err error) {
	if err != nil {
		s.log.Debug("who is online was not noted", "err", err)
	}
}

// clear removes what this node, or an earlier life of it, has noted.
func (s *seats) clear() {
	s.mu.Lock()
	s.young, s.old = nil, nil
	s.mu.Unlock()
	for i := range s.store.Shards() {
		s.lanes.SubmitTo(i, &lane.Seats{Changes: []store.OnlineChange{{OnlineEntry: store.OnlineEntry{Node: s.node}}}}, s.noted)
	}
}

// online answers who is online from the store, and from what waits to be written.
func (s *seats) online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	alive, err := s.nodes(ctx)
	if err != nil {
		return nil, 0, err
	}
	noted, err := s.store.Room(room).Online(ctx, room, seatsAsked)
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	own := make(map[chat.UserID]bool, len(s.young[room])+len(s.old[room]))
	maps.Copy(own, s.old[room])
	maps.Copy(own, s.young[room])
	s.mu.Unlock()
	var users []chat.UserID
	for _, seat := range noted {
		if _, changed := own[seat.User]; slices.Contains(alive, seat.Node) && !(changed && seat.Node == s.node) {
			users = append(users, seat.User)
		}
	}
	for user, on := range own {
		if on {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return users[:min(limit, len(users))], len(users), nil
}

// live writes what is due, until ctx ends.
func (s *seats) live(ctx context.Context) {
	write := time.NewTicker(writeEvery)
	defer write.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-write.C:
			s.write()
		}
	}
}
