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
	Record Record // is asked when the driver cannot answer; nil: there is none

	// Publish publishes a presence event to a room. It may wait. Calls for one part do not
	// overlap; those for several do. nil publishes nothing.
	Publish func(ev *chat.Event)
	// Part returns the part of the rooms that a room is in. Where nothing answers who is
	// online in the rooms of one part, those of others have their events as ever. nil: all
	// are in one.
	Part func(chat.RoomID) int

	Grace    time.Duration // a user who comes back within it was never offline, 5 s
	Tick     time.Duration // changes are gathered for so long, 1 s
	MaxNamed int           // events of rooms with more users online have only the count, 100

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
	if c.Part == nil {
		c.Part = func(chat.RoomID) int { return 0 }
	}
	if c.MaxNamed <= 0 {
		c.MaxNamed = 100
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// driverTimeout bounds one call of the driver from the tracker's goroutine.
const driverTimeout = 2 * time.Second

// Tracker knows which users are online through this node, and asks the driver
// about the others. Its methods are safe for concurrent use.
type Tracker struct {
	// Set once.
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	start   time.Time
	ctx     context.Context // of publishers; ends with Close
	stop    context.CancelFunc
	done    chan struct{} // closed by Close
	ended   chan struct{} // closed when run has returned

	// Guarded by mu.
	mu           sync.Mutex
	closed       bool
	rooms        roomUsers          // of this node
	pending      roomUsers          // of rooms: users whose state the record or the driver does not have
	pendingCount int                // users in pending
	leaving      []departure        // users in grace, by due time; each is in it once
	publishers   map[int]*publisher // by part

	publishing sync.WaitGroup // goroutines of publishers; those are started by run

	// Owned by run.
	failing bool // the driver's last Apply failed
}

// roomUsers holds users by room. No room in it is empty.
type roomUsers map[chat.RoomID]map[chat.UserID]*user

// user is the state of a user in a room on this node. Guarded by Tracker.mu.
type user struct {
	conns     int32
	leaving   bool          // in Tracker.leaving
	on        bool          // online, or within grace
	persisted bool          // on, as the record has it and as it was published
	applied   bool          // on, as the driver has it
	leftAt    time.Duration // when conns became 0, since Tracker.start
}

// departure is the end of a user's grace.
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
		rooms: roomUsers{}, pending: roomUsers{}, publishers: map[int]*publisher{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.metrics = newMetrics(cfg.Registerer, t)
	go t.run()
	return t
}

// Enter says that a connection of the user came into the room. Online knows it
// when Enter returns; it is published within a Tick. It does not block.
func (t *Tracker) Enter(room chat.RoomID, id chat.UserID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	u := t.rooms[room][id]
	if u == nil {
		u = &user{}
		t.rooms.put(room, id, u)
	}
	u.conns++
	t.set(room, id, u, true)
}

// Leave says that a connection of the user left the room. If it was the last,
// the user is offline when Grace has passed. It does not block.
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
	u.leftAt = time.Since(t.start)
	if !u.leaving {
		u.leaving = true
		t.leaving = append(t.leaving, departure{room, id, t.due(u)})
	}
}

// due is when the grace of a user who left has passed.
func (t *Tracker) due(u *user) time.Time { return t.start.Add(u.leftAt + t.cfg.Grace) }

// Remove says that the user may not be in the room any more on so many connections,
// for which Leave is not called. With none left the user is offline at once, without
// Grace. It does not block.
func (t *Tracker) Remove(room chat.RoomID, id chat.UserID, conns int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.rooms[room][id]
	if u == nil {
		return
	}
	if u.conns = max(0, u.conns-int32(conns)); u.conns == 0 {
		t.set(room, id, u, false)
	}
}

// set changes whether the user is online. t.mu is held.
func (t *Tracker) set(room chat.RoomID, id chat.UserID, u *user, on bool) {
	if u.on != on {
		u.on = on
		t.pendingCount += t.pending.put(room, id, u)
	}
}

// put adds a user to a room and returns how many users more the room has.
func (r roomUsers) put(room chat.RoomID, id chat.UserID, u *user) int {
	users := r[room]
	if users == nil {
		users = map[chat.UserID]*user{}
		r[room] = users
	}
	before := len(users)
	users[id] = u
	return len(users) - before
}

// drop removes a user from a room, and the room with its last user.
func (r roomUsers) drop(room chat.RoomID, id chat.UserID) {
	users := r[room]
	if delete(users, id); len(users) == 0 {
		delete(r, room)
	}
}

// Online returns up to limit users online in the room on any node, in ascending
// order, and how many there are. Users who came on another node may be missing
// for a Tick. While changes of this node are on their way to a driver that returns
// only a part of a large room, the count may be too high by as many. Degraded says that
// the record has answered for the driver.
func (t *Tracker) Online(ctx context.Context, room chat.RoomID, limit int) (chat.Online, error) {
	// What the driver does not have is read first: a user that is applied meanwhile
	// is then in both, not in neither.
	own := t.notApplied(room)
	users, count, err := t.cfg.Driver.Online(ctx, room, limit)
	degraded := err != nil
	if degraded && t.cfg.Record != nil {
		t.metrics.fallbacks.Inc()
		users, count, err = t.cfg.Record.Online(ctx, room, limit)
	}
	if err != nil {
		return chat.Online{}, chat.Wrap(chat.Unavailable, "presence.Online", err)
	}
	for _, id := range own {
		if i, there := slices.BinarySearch(users, id); !there {
			users = slices.Insert(users, i, id)
			count++
		}
	}
	return chat.Online{Users: users[:min(len(users), max(limit, 0))], Count: count, Degraded: degraded}, nil
}

// notApplied returns the users who are online through this node and whom the
// driver does not have.
func (t *Tracker) notApplied(room chat.RoomID) []chat.UserID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var own []chat.UserID
	for id, u := range t.pending[room] {
		if u.on && !u.applied {
			own = append(own, id)
		}
	}
	return own
}

// Close takes all users of this node offline for the driver and the record, and
// ends the tracker. Nothing is published: clients of a node that stops come back
// on another.
func (t *Tracker) Close() {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	t.mu.Unlock()
	if first {
		close(t.done)
		t.stop()
	}
	<-t.ended
}
