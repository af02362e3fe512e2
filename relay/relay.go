package relay

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/queue"
)

// retryBusy is the RetryAfter of a change that a full queue refuses, in milliseconds.
const retryBusy = 250

// Taken is what came of handing a change to the lane of this node.
type Taken int

const (
	Took     Taken = iota // done runs, once
	NotOwner              // this node does not own the lane; done does not run
	OtherMap              // the slot is not of the lane by this node's map; done does not run
)

// Config configures a Relay. NATS, Prefix, Lanes, Submit and Place are required.
type Config struct {
	NATS   *nats.Conn
	Prefix string // of all subjects; "rt.<deployment>"
	Node   string // this node's name, for the logs of others
	Lanes  int

	// Submit hands a change from another node to the lane of this one. It does not block.
	// Calls for one lane do not overlap, and come in the order of each sender. A lane that
	// was taken over calls done with Fenced: the sender then turns to the new owner. One that is
	// full calls it before Submit returns, with an error that change.IsFull knows.
	Submit func(lane int, c change.Change, from change.Origin, done change.Done) Taken

	// MapVersion is the version of this node's slot map; nil: it is always the same.
	MapVersion func() int64
	// Stale says that there is a slot map of this version, and reads it if it is newer
	// than this node's. It may block; calls do not overlap.
	Stale func(version int64)
	// Moved is the version of that map in which a slot has got its lane; nil: none has moved.
	Moved func(slot chat.Slot) int64
	// Place returns the parts of a change and the lanes that own their slots by this node's
	// map. Only a change without order of its own has several. It is not asked about changes
	// of a lane, such as cursors.
	Place func(c change.Change) map[int]change.Change

	// AfterOutcomes runs when the outcomes that came together are all handed on, for acks
	// that wait for it (hub.Kick); may be nil.
	AfterOutcomes func()

	// Queue keeps what an owner does not answer soon; nil: there is none.
	Queue    queue.Queue
	Overflow time.Duration // without an outcome, after which a lane turns to Queue; default 250 ms
	Always   bool          // everything goes through Queue

	MaxWaiting int           // changes of one lane that are neither accepted nor have an outcome; default 4096
	MaxBytes   int           // bytes of them; default 32 MiB
	GiveUp     time.Duration // after which a change is answered Unavailable; default 10 s
	Repeat     time.Duration // without progress, before the owner is asked; default 500 ms
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) fill() error {
	for _, token := range strings.Split(c.Prefix, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return fmt.Errorf("relay: %q is no prefix of subjects", c.Prefix)
		}
	}
	if c.NATS == nil || c.Lanes <= 0 || c.Submit == nil || c.Place == nil || len(c.Node) > maxNode {
		return fmt.Errorf("relay: NATS, Lanes, Submit and Again are required, and Node has %d bytes at most", maxNode)
	}
	if payload := c.NATS.MaxPayload(); payload > 0 && payload < 2*maxPacket { // 0: not connected yet
		return fmt.Errorf("relay: NATS has a max_payload of %d bytes, %d are needed", payload, 2*maxPacket)
	}
	if c.MapVersion == nil {
		c.MapVersion = func() int64 { return 0 }
	}
	if c.Moved == nil {
		c.Moved = func(chat.Slot) int64 { return 0 }
	}
	if c.AfterOutcomes == nil {
		c.AfterOutcomes = func() {}
	}
	if c.Stale == nil {
		c.Stale = func(int64) {}
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 4096
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 32 << 20
	}
	if c.Overflow == 0 {
		c.Overflow = 250 * time.Millisecond
	}
	if c.GiveUp == 0 {
		c.GiveUp = 10 * time.Second
	}
	if c.Repeat == 0 {
		c.Repeat = 500 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Relay is the sender and, for the lanes that Own names, the owner of this node. What a
// node says to itself does not go over NATS. Safe for concurrent use.
type Relay struct {
	// Set once.
	cfg     Config
	from    uint64 // incarnation
	queues  []*sendQueue
	count   *counters
	publish func(subject string, data []byte) error
	subs    []*nats.Subscription
	stop    chan struct{} // closed by Close
	working sync.WaitGroup

	keys   atomic.Uint64 // of messages that had none
	wake   chan struct{} // a queue is due
	mouth  mouth
	router router

	mu      sync.Mutex
	closed  bool
	tenures []*tenure // by lane, nil: not owned
}

// New subscribes to the answers for this node and to announcements, and starts. Close
// ends it; the connection stays open.
func New(cfg Config) (*Relay, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	r := newRelay(cfg)
	if err := r.start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	return r, nil
}

// newRelay makes a relay that is not started.
func newRelay(cfg Config) *Relay {
	r := &Relay{
		cfg: cfg, from: rand.Uint64(), count: newCounters(cfg.Registerer), publish: cfg.NATS.Publish,
		stop: make(chan struct{}), wake: make(chan struct{}, 1), tenures: make([]*tenure, cfg.Lanes),
	}
	r.mouth.wake, r.router.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	for lane := range cfg.Lanes {
		q := &sendQueue{cfg: &r.cfg, lane: lane, from: r.from, count: r.count, unkept: make(chan struct{}, 1), base: 1, sent: 1, top: 1}
		q.overflow = overflow{on: cfg.Queue != nil && cfg.Always, appended: 1}
		r.queues = append(r.queues, q)
	}
	return r
}

func (r *Relay) start() error {
	if err := r.listen(r.subject("ack", hex(r.from)), r.answers); err != nil {
		return err
	}
	if err := r.listen(r.subject("own", "*"), r.announced); err != nil {
		return err
	}
	if r.cfg.Queue != nil {
		for _, q := range r.queues {
			r.working.Go(func() { r.keepAll(q) })
		}
	}
	r.working.Go(r.send)
	r.working.Go(r.say)
	r.working.Go(r.route)
	return nil
}

func (r *Relay) subject(kind, last string) string { return r.cfg.Prefix + "." + kind + "." + last }

func (r *Relay) laneSubject(kind string, lane int) string {
	return r.subject(kind, strconv.Itoa(lane))
}

// Forward hands a change to the owner of the lane, whichever node that is, and returns at
// once. Done runs once: with the outcome; with Unavailable if there is none after
// Config.GiveUp and the change is not in the durable queue, and then it may have been
// applied, or be applied soon; or before Forward returns, with Busy, Unavailable or
// TooLarge, and then nothing was or will be done. The change belongs to the relay until
// done runs. The changes of a slot are done in their order, also while the slot goes to
// another lane.
func (r *Relay) Forward(lane int, c change.Change, done change.Done) {
	r.forward(lane, entry{change: c, done: done, byMap: r.cfg.MapVersion()})
}

// forward is Forward for an entry that says what is known of the change: where it has waited
// in the router it has its order already.
func (r *Relay) forward(lane int, e entry) {
	if lane < 0 || lane >= len(r.queues) {
		r.router.forget(&e)
		e.done(change.Reply{}, chat.Wrap(chat.Internal, "relay.forward", fmt.Errorf("there is no lane %d", lane)))
		return
	}
	e.promise()
	e.change = r.keyed(e.change)
	e.bytes = change.Append(make([]byte, 0, e.change.Size()), e.change)
	e.size = e.change.Size() + len(e.bytes)
	e.since = r.cfg.Now()
	e.until = e.since.Add(r.cfg.GiveUp)
	err := error(nil)
	if int64(len(e.bytes)) > r.maxEntry() {
		r.router.forget(&e)
		err = &chat.Error{Kind: chat.TooLarge, Op: "relay.forward", Text: "the change is too large to be handed to another server"}
	} else {
		err = r.pass(&e, r.queues[lane])
	}
	if err != nil {
		e.done(change.Reply{}, err)
		return
	}
	r.count.forwarded.Inc()
	signal(r.wake)
}

// maxEntry is how many bytes a packet can carry at most, so that one entry alone fits.
func (r *Relay) maxEntry() int64 {
	const header = 64
	if payload := r.cfg.NATS.MaxPayload(); payload > maxPacket {
		return payload - header
	}
	return maxPacket - header // not connected, so not known
}

// keyed gives a message a key, as it may be handed on twice. Clients are not shown it. The
// caller's message stays as it is.
func (r *Relay) keyed(c change.Change) change.Change {
	send, ok := c.(*change.Send)
	if !ok || send.Draft.Key != "" {
		return c
	}
	with := *send
	with.Draft.Key = chat.MakeKey(r.from, r.keys.Add(1))
	return &with
}

// Reconnected says that the connection works again: what is open is asked for at once, and
// owned lanes are announced again.
func (r *Relay) Reconnected() {
	for _, q := range r.queues {
		q.asks()
	}
	signal(r.wake)
	r.mu.Lock()
	owned := append([]*tenure(nil), r.tenures...)
	r.mu.Unlock()
	for _, t := range owned {
		if t != nil {
			t.announce()
		}
	}
}

// Close answers what waits with Unavailable, sends the outcomes that are there, and
// returns when all goroutines have ended. It may be called again.
func (r *Relay) Close() {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	owned := r.tenures
	r.tenures = make([]*tenure, r.cfg.Lanes)
	r.mu.Unlock()
	if first {
		for _, t := range owned {
			if t != nil {
				t.end()
			}
		}
		for _, q := range r.queues {
			r.tell(q.close())
		}
		for _, s := range r.subs {
			_ = s.Unsubscribe() // of a connection that is closed, it has ended
		}
		close(r.stop)
	}
	r.working.Wait()
}

// listen handles the messages of a subject, one after the other, until Close.
func (r *Relay) listen(subject string, handle func(data []byte)) error {
	sub, err := r.cfg.NATS.SubscribeSync(subject)
	if err != nil {
		return err
	}
	r.subs = append(r.subs, sub)
	limit(sub)
	r.working.Go(func() { receive(sub, handle, func() {}) })
	return nil
}

// signal wakes the goroutine that waits for c, now or later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
