package hub

import (
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Config is how a Hub is made. Zero values mean the defaults.
type Config struct {
	Bus bus.Bus // required; New calls its Listen

	// Lane returns the lane of a room. When that of some rooms has changed, Reroute
	// is called. nil: lane 0 has all rooms.
	Lane func(room chat.RoomID) bus.Lane

	// Heard is called with each batch before any client is given what is in it, as a
	// bus.Handler is. nil: nothing is done.
	Heard bus.Handler

	// Presence counts the connections of users that are in rooms; nil: nothing does.
	Presence Presence

	Workers      int           // writing goroutines, GOMAXPROCS
	RoomLogBytes int           // of a room's log in one encoding, 256 KiB
	LogsTotal    int           // of all room logs together, 128 MiB
	PrivateBytes int           // of small replies waiting for one connection, 256 KiB; beside them one large one may wait
	PrivateTotal int           // of all replies that wait, 64 MiB
	StallTimeout time.Duration // a link that accepts nothing for so long is closed, 30 s
	MinRate      int           // a link that takes fewer bytes a second for as long as that, while something waits, is closed, 4096
	LateAfter    time.Duration // a commit that the bus has not brought by then is lost, 2 s
	scanSize     int           // subscriptions of one room that a worker serves in a round, 1024: some milliseconds of writing

	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Presence counts the connections of each user in each room (presence.Tracker). Every
// connection that Enter was called for is given back once, by Leave or Remove. The
// hub calls the methods without a lock; they do not block.
type Presence interface {
	// Enter counts a connection that is about to be in the room, Leave one that has
	// left it.
	Enter(room chat.RoomID, user chat.UserID)
	Leave(room chat.RoomID, user chat.UserID)

	// Remove says that the membership has ended on so many connections. With none
	// left the user is offline at once.
	Remove(room chat.RoomID, user chat.UserID, conns int)
}

// nowhere is the Presence of a hub that has none.
type nowhere struct{}

func (nowhere) Enter(chat.RoomID, chat.UserID)       {}
func (nowhere) Leave(chat.RoomID, chat.UserID)       {}
func (nowhere) Remove(chat.RoomID, chat.UserID, int) {}

func (c *Config) setDefaults() {
	if c.Presence == nil {
		c.Presence = nowhere{}
	}
	if c.Heard == nil {
		c.Heard = func(*bus.Batch) {}
	}
	if c.Lane == nil {
		c.Lane = func(chat.RoomID) bus.Lane { return 0 }
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.RoomLogBytes <= 0 {
		c.RoomLogBytes = 256 << 10
	}
	if c.PrivateBytes <= 0 {
		c.PrivateBytes = 256 << 10
	}
	if c.LogsTotal <= 0 {
		c.LogsTotal = 128 << 20
	}
	if c.PrivateTotal <= 0 {
		c.PrivateTotal = 64 << 20
	}
	if c.MinRate <= 0 {
		c.MinRate = 4096
	}
	if c.StallTimeout <= 0 {
		c.StallTimeout = 30 * time.Second
	}
	if c.scanSize <= 0 {
		c.scanSize = 1024
	}
	if c.LateAfter <= 0 {
		c.LateAfter = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// How a drained node's connections come back: a few at once, many in
// milliseconds each, up to a time that users accept.
const (
	spreadFrom = 200
	spreadEach = 1
	spreadMost = 30_000
)

// drainTime bounds how long Drain waits for workers to flush.
const drainTime = time.Second

// Hub is the connections of this node. Its methods are safe for concurrent use.
type Hub struct {
	// Set by New.
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	workers []*worker
	done    chan struct{} // closed by Close: workers end
	wg      sync.WaitGroup

	// Safe for any goroutine.
	waiting   budget       // of private frames
	held      atomic.Int64 // bytes by Hold
	logBytes  budget       // of room logs
	rooms     rooms
	lanes     lanes
	users     users
	encodings [maxEncodings]atomic.Pointer[Encoding] // by encodingID, which sets them
	attached  atomic.Uint64                          // conns so far, to deal them out
	closeOnce sync.Once
}

// New makes a Hub and starts its workers. Close ends them.
func New(cfg Config) *Hub {
	cfg.setDefaults()
	h := &Hub{cfg: cfg, log: cfg.Log, done: make(chan struct{})}
	h.metrics = newMetrics(cfg.Registerer, map[string]*atomic.Int64{
		"private_bytes": &h.waiting.used, "held_bytes": &h.held, "room_log_bytes": &h.logBytes.used,
	})
	h.waiting.limit, h.waiting.over = int64(cfg.PrivateTotal), func() { h.workers[0].later(h.shed) }
	h.logBytes.limit, h.logBytes.over = int64(cfg.LogsTotal), func() { h.workers[0].later(h.shedLogs) }
	h.rooms.init()
	h.lanes.init()
	h.users.init()
	for i := range cfg.Workers {
		h.workers = append(h.workers, newWorker(h, i))
	}
	for _, w := range h.workers {
		h.wg.Go(w.run)
	}
	cfg.Bus.Listen(h.Deliver)
	return h
}

// Kick lets the workers write what SendLater queued. It does not wait for them.
func (h *Hub) Kick() {
	for _, w := range h.workers {
		w.kick()
	}
}

// Attach takes a connection in. The transport calls Detach when it has ended. A
// draining hub closes the link at once.
func (h *Hub) Attach(link Link, enc Encoding) *Conn {
	id := h.encodingID(enc)
	w := h.workers[h.attached.Add(1)%uint64(len(h.workers))]
	c := &Conn{hub: h, link: link, encodingID: id, worker: w}
	if !w.conns.add(c) {
		c.gone = true
		link.Close(chat.ByeDraining)
		return c
	}
	h.metrics.conns.Inc()
	return c
}

// Len is how many connections there are.
func (h *Hub) Len() int {
	n := 0
	for _, w := range h.workers {
		n += w.conns.len()
	}
	return n
}

// encodingID returns the number of an encoding on this hub: the first connection
// that has it takes the next free one, for ever. It panics when there is none:
// which encodings there are is written in the program.
func (h *Hub) encodingID(enc Encoding) uint8 {
	for id := range h.encodings {
		p := &h.encodings[id]
		if p.Load() == nil && p.CompareAndSwap(nil, &enc) || *p.Load() == enc {
			return uint8(id)
		}
	}
	panic("hub: more encodings than maxEncodings")
}

// encoding returns the encoding with a number that encodingID gave out.
func (h *Hub) encoding(id int) Encoding { return *h.encodings[id].Load() }

// CloseUser ends the connections of a user on this node and returns how many
// there were.
func (h *Hub) CloseUser(user chat.UserID, g chat.Goodbye) int {
	conns := h.users.of(user)
	for _, c := range conns {
		c.Close(g)
	}
	return len(conns)
}

// CloseGuests is CloseUser for the connections of guests under that name.
func (h *Hub) CloseGuests(user chat.UserID, g chat.Goodbye) {
	for _, c := range h.users.of(user) {
		if c.isGuest() {
			c.Close(g)
		}
	}
}

// Drain takes no more connections, writes what is queued as far as links accept
// it now, and closes all. Many are asked to come back spread over a time that
// grows with their number. It returns when that is done, at the latest after a
// second.
func (h *Hub) Drain(g chat.Goodbye) {
	var all []*Conn
	for _, w := range h.workers {
		all = append(all, w.conns.close()...)
	}
	spread := min(int64(len(all))*spreadEach, spreadMost)
	for _, c := range all {
		g.Wait = 0
		if len(all) > spreadFrom {
			g.Wait = 1 + rand.Int64N(spread)
		}
		c.Close(g)
	}
	late := time.NewTimer(drainTime)
	defer late.Stop()
	for _, w := range h.workers {
		select {
		case <-w.barrier():
		case <-late.C:
			h.log.Warn("hub: connections were closed before everything was written")
			return
		}
	}
}

// Close drains the hub and ends its goroutines. Connections may still be
// detached afterwards.
func (h *Hub) Close() {
	h.closeOnce.Do(func() {
		h.Drain(chat.ByeDraining)
		h.leaveLanes()
		close(h.done)
	})
	h.wg.Wait()
}
