package presence

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Config is how a Tracker is made. Zero durations and numbers mean the defaults.
type Config struct {
	Driver Driver // required

	// Publish tells the event's room. Note gets the changes of this node for the store,
	// which Fallback asks when the driver cannot answer. All may be nil, run on
	// the tracker's goroutine (Fallback on the asker's), and may wait.
	Publish  func(ev *chat.Event)
	Note     func(changes []Change)
	Fallback func(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error)

	Grace    time.Duration // a user who is back within it never went, 5 s
	Tick     time.Duration // changes are gathered for so long, 1 s
	MaxNamed int           // rooms with more online are told the count only, 100

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

func (c *Config) setDefaults() {
	if c.Grace <= 0 {
		c.Grace = 5 * time.Second
	}
	if c.Tick <= 0 {
		c.Tick = time.Second
	}
	if c.MaxNamed <= 0 {
		c.MaxNamed = 100
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// driverTime bounds one question to the driver from the tracker's goroutine.
const driverTime = 2 * time.Second

// Tracker knows who is online through this node, and asks the driver about the
// others. Its methods are safe for concurrent use.
type Tracker struct {
	// Set by New.
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	start   time.Time
	done    chan struct{} // closed by Close
	ended   chan struct{} // closed when run has returned

	mu      sync.Mutex
	closed  bool
	rooms   map[chat.RoomID]map[chat.UserID]*user // of this node; no room is empty
	changed map[chat.RoomID]map[chat.UserID]*user // of rooms: who is not told or not applied; no room is empty
	leaving []departure                           // by due time; a user is in it once
	pending int                                   // users in changed

	// Owned by run.
	failing  bool                // the driver's last Apply failed
	lastTold map[chat.RoomID]int // the count that large rooms were told last
}

// user is somebody in a room on this node.
type user struct {
	conns   int32
	leaving bool          // in Tracker.leaving
	on      bool          // present, or within grace
	told    bool          // Note and the room know on
	applied bool          // the driver knows on
	gone    time.Duration // when conns became 0, since Tracker.start
}

type departure struct {
	room chat.RoomID
	user chat.UserID
	due  time.Time
}

// New makes a Tracker and starts its goroutine. Close ends it.
func New(cfg Config) *Tracker {
	cfg.setDefaults()
	t := &Tracker{
		cfg: cfg, log: cfg.Log, start: time.Now(), done: make(chan struct{}), ended: make(chan struct{}),
		rooms:    map[chat.RoomID]map[chat.UserID]*user{},
		changed:  map[chat.RoomID]map[chat.UserID]*user{},
		lastTold: map[chat.RoomID]int{},
	}
	t.metrics = newMetrics(cfg.Registerer, t)
	go t.run()
	return t
}

// Enter says that a connection of the user came into the room. Online knows it
// when Enter returns; the room is told within a Tick. It does not block.
func (t *Tracker) Enter(room chat.RoomID, id chat.UserID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	u := t.rooms[room][id]
	if u == nil {
		u = &user{}
		put(t.rooms, room, id, u)
	}
	u.conns++
	t.set(room, id, u, true)
}

// Leave says that a connection of the user left the room. If it was the last,
// the user went when Grace has passed. It does not block.
func (t *Tracker) Leave(room chat.RoomID, id chat.UserID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.rooms[room][id]
	if u == nil || u.conns == 0 {
		return
	}
	if u.conns--; u.conns > 0 {
		return
	}
	u.gone = time.Since(t.start)
	if !u.leaving {
		u.leaving = true
		t.leaving = append(t.leaving, departure{room, id, t.due(u)})
	}
}

// due is when the grace of a user who left has passed.
func (t *Tracker) due(u *user) time.Time { return t.start.Add(u.gone + t.cfg.Grace) }

// Remove says that the user has no place in the room any more: they went at once,
// whatever connections they had there. For those Leave must not be called any
// more, or it counts against one that comes later. It does not block.
func (t *Tracker) Remove(room chat.RoomID, id chat.UserID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u := t.rooms[room][id]; u != nil {
		u.conns = 0
		t.set(room, id, u, false)
	}
}

// set changes whether the user is on. t.mu is held.
func (t *Tracker) set(room chat.RoomID, id chat.UserID, u *user, on bool) {
	if u.on != on {
		u.on = on
		t.pending += put(t.changed, room, id, u)
	}
}

// put adds a user to a room and returns how many it holds more.
func put(rooms map[chat.RoomID]map[chat.UserID]*user, room chat.RoomID, id chat.UserID, u *user) int {
	users := rooms[room]
	if users == nil {
		users = map[chat.UserID]*user{}
		rooms[room] = users
	}
	before := len(users)
	users[id] = u
	return len(users) - before
}

// drop removes a user from a room, and the room with the last.
func drop(rooms map[chat.RoomID]map[chat.UserID]*user, room chat.RoomID, id chat.UserID) {
	users := rooms[room]
	if delete(users, id); len(users) == 0 {
		delete(rooms, room)
	}
}

// Online returns up to limit users online in the room on any node, in ascending
// order, and how many there are. Users who came on another node may be missing
// for a Tick. While users of this node are on their way to a driver that returns
// only a part of a large room, the count may be too high by as many.
func (t *Tracker) Online(ctx context.Context, room chat.RoomID, limit int) ([]chat.UserID, int, error) {
	// What the driver does not know is read first: a user whom it is told of
	// meanwhile is then in both, not in neither.
	own := t.notApplied(room)
	users, count, err := t.cfg.Driver.Online(ctx, room, limit)
	if err != nil && t.cfg.Fallback != nil {
		t.metrics.fallbacks.Inc()
		users, count, err = t.cfg.Fallback(ctx, room, limit)
	}
	if err != nil {
		return nil, 0, chat.Wrap(chat.Unavailable, "presence.Online", err)
	}
	for _, id := range own {
		if i, there := slices.BinarySearch(users, id); !there {
			users = slices.Insert(users, i, id)
			count++
		}
	}
	return users[:min(len(users), max(limit, 0))], count, nil
}

// notApplied returns who is on through this node and unknown to the driver.
func (t *Tracker) notApplied(room chat.RoomID) []chat.UserID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var own []chat.UserID
	for id, u := range t.changed[room] {
		if u.on && !u.applied {
			own = append(own, id)
		}
	}
	return own
}

// Close tells the driver and Note that everybody on this node went, and ends the
// tracker. Rooms are not told: clients of a node that stops come back elsewhere.
func (t *Tracker) Close() {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	if first {
		close(t.done)
	}
	<-t.ended
}
