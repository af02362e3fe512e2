package relay

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// window is how many packets of a lane may be on their way, not yet known to have arrived.
const window = 4

// sendQueue is what this sender has open in one lane. Its methods return what has to be told
// to callers, which is done outside of the mutex.
type sendQueue struct {
	// Set once.
	cfg   *Config
	lane  int
	from  uint64
	count *counters

	due    atomic.Bool   // there may be a packet to cut
	unkept chan struct{} // cap 1: there may be entries to append to the durable queue

	mu       sync.Mutex
	closed   bool
	entries  []entry   // numbers from base on; the first one is open
	base     uint64    // number of the first entry, or of the next one to come
	sent     uint64    // number that the next packet begins with
	top      uint64    // numbers below were sent at least once
	ends     []uint64  // packets on their way: the number behind each
	tenure   uint64    // that was heard of last
	received uint64    // that tenure has taken what is below
	ask      bool      // the next packet asks
	open     int       // entries without an outcome
	bytes    int       // of those that are not accepted
	progress time.Time // when something was heard that had not been known
	patience time.Duration
	overflow overflow
}

// entry is one change on its way. Without done it is finished.
type entry struct {
	change change.Change
	done   change.Done
	bytes  []byte
	size   int
	until  time.Time
	order  uint64 // of the changes of its slot on this node; 0: it has none
	byMap  int64  // version of the slot map by which its lane was chosen
	handed bool   // the owner of a lane that its slot has left hands it on, for its sender

	accepted bool      // it is in the durable queue; bytes are gone
	promised bool      // it was, of another lane: its sender is not told so again, and it is not given up
	since    time.Time // when it came, or was accepted
}

// promise is called where an accepted entry goes to another lane.
func (e *entry) promise() {
	if !e.accepted {
		return
	}
	e.accepted, e.promised = false, true
	if send, ok := e.change.(*change.Send); ok {
		told := *send
		told.Accepted = nil
		e.change = &told
	}
}

// verdict is an entry that is finished, with what came of it.
type verdict struct {
	entry
	outcome
	err error // if there is no outcome
}

// add puts an entry behind the others.
func (q *sendQueue) add(e entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return stopping()
	}
	if q.full(e.size) {
		return &chat.Error{Kind: chat.Busy, Op: "relay.forward", RetryAfter: retryBusy}
	}
	if q.open == 0 {
		q.progress, q.patience = e.since, q.cfg.Repeat
	}
	q.entries = append(q.entries, e)
	q.open++
	q.bytes += e.size
	q.count.wait(1, e.size)
	q.due.Store(true)
	q.keep()
	return nil
}

// full reports whether so much is open that an entry of the size has no space.
func (q *sendQueue) full(size int) bool {
	waiting := q.open - q.overflow.open
	return waiting >= q.cfg.MaxWaiting || q.bytes+size > q.cfg.MaxBytes && waiting > 0 ||
		len(q.entries) >= maxSpan || q.overflow.bytes > maxAccepted
}

// cut appends the next packet to b, if there is one to be sent now.
func (q *sendQueue) cut(b []byte, slots int64) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	end := q.base + uint64(len(q.entries))
	direct := q.direct()
	room := q.sent < end && len(q.ends) < window && direct
	if q.open == 0 || !room && !q.ask {
		return b, false
	}
	if room && direct { // a packet tells of one version: its entries' own
		slots = q.entries[q.sent-q.base].byMap
	}
	p := packet{from: q.from, lane: uint64(q.lane), slots: slots, ask: q.ask, base: q.base, first: q.sent}
	if !direct { // the owner reads the rest in the durable queue
		p.first, p.kept = q.base, q.overflow.appended
	}
	b = p.appendHeader(b)
	q.ask = false
	if !room {
		return b, true
	}
	for first := q.sent; q.sent < end; q.sent++ {
		e := &q.entries[q.sent-q.base]
		if q.sent > first && (len(b)+len(e.bytes)+binary.MaxVarintLen32 > maxPacket || e.done != nil && e.byMap != slots) {
			break
		}
		b = binary.AppendUvarint(b, uint64(len(e.bytes)))
		b = append(b, e.bytes...)
		if q.sent < q.top {
			q.count.repeated.Inc()
		}
	}
	q.top = max(q.top, q.sent)
	q.ends = append(q.ends, q.sent)
	return b, true
}

// heard works on an answer of an owner. The verdicts hold bytes of it.
func (q *sendQueue) heard(a *answer, now time.Time) []verdict {
	q.mu.Lock()
	defer q.mu.Unlock()
	vs := make([]verdict, 0, len(a.outcomes))
	for _, o := range a.outcomes {
		switch {
		case o.n < q.base || o.n >= q.top || q.entries[o.n-q.base].done == nil:
		case o.how == moved:
			vs = q.refused(o, vs)
		default:
			e := q.finish(o.n)
			q.keptUp(&e, now)
			vs = append(vs, verdict{entry: e, outcome: o})
		}
	}
	fresh := a.tenure != q.tenure
	if fresh {
		q.tenure, q.received = a.tenure, 0
	}
	stale := a.next < q.received || a.next > q.top
	if a.next > q.received && !stale {
		q.received = a.next
		q.arrived()
		q.progress, q.patience = now, q.cfg.Repeat
	}
	if len(vs) > 0 {
		q.progress, q.patience = now, q.cfg.Repeat
	}
	q.shift()
	if a.want && !stale && a.next < q.sent {
		q.back(a.next)
	}
	q.turn(now)
	q.due.Store(true)
	return vs
}

// refused takes an entry out whose slot has left the lane, and the later ones of the slot, which are
// refused as well: none of them may get into the durable queue, and so in front of this one. What
// may be there already stays: the owner finds it, and hands it on in its order.
func (q *sendQueue) refused(o outcome, vs []verdict) []verdict {
	if q.overflow.on && o.n < q.overflow.tried {
		return vs
	}
	first := q.finish(o.n)
	vs = append(vs, verdict{entry: first, outcome: o})
	if first.order == 0 {
		return vs
	}
	for n := o.n + 1; n < q.base+uint64(len(q.entries)); n++ {
		if e := &q.entries[n-q.base]; e.done != nil && e.order != 0 && e.change.Slot() == first.change.Slot() {
			vs = append(vs, verdict{entry: q.finish(n), outcome: outcome{n: n, how: moved, slots: o.slots}})
		}
	}
	return vs
}

// finish takes the change out of an entry, whose number stays.
func (q *sendQueue) finish(n uint64) entry {
	e := &q.entries[n-q.base]
	was := *e
	*e = entry{}
	q.open--
	if was.accepted {
		q.overflow.open--
		q.overflow.bytes -= was.size
	} else {
		q.bytes -= was.size
	}
	q.count.wait(-1, -was.size)
	return was
}

// arrived forgets the packets that are known to have arrived.
func (q *sendQueue) arrived() {
	for len(q.ends) > 0 && q.ends[0] <= q.received {
		q.ends = q.ends[1:]
	}
}

// shift moves base to the first open entry.
func (q *sendQueue) shift() {
	k := 0
	for k < len(q.entries) && q.entries[k].done == nil {
		k++
	}
	if q.entries = q.entries[k:]; len(q.entries) == 0 {
		q.entries = nil
	}
	q.base += uint64(k)
	q.sent, q.top = max(q.sent, q.base), max(q.top, q.base)
	if q.open == 0 {
		q.ends, q.ask = q.ends[:0], false // nothing is left to be repeated
	}
}

// back makes the next packet begin with an earlier number.
func (q *sendQueue) back(to uint64) {
	q.sent = min(max(to, q.base), q.sent)
	q.ends = q.ends[:0]
}

// announced works on an announcement: a new tenure knows nothing of this sender.
func (q *sendQueue) announced(tenure uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if tenure != q.tenure {
		q.tenure, q.received = tenure, 0
		q.back(q.base)
	}
	q.ask = true
	q.due.Store(true)
}

// tick gives up what waited too long, and asks if nothing was heard for a while.
func (q *sendQueue) tick(now time.Time) []verdict {
	q.mu.Lock()
	defer q.mu.Unlock()
	var vs []verdict
	for n := max(q.base, q.overflow.appended); n < q.base+uint64(len(q.entries)); n++ {
		e := &q.entries[n-q.base]
		if e.done == nil || e.promised {
			continue
		}
		if now.Before(e.until) {
			break // entries give up in their order
		}
		vs = append(vs, verdict{entry: q.finish(n), err: unreachable()})
	}
	q.count.givenUp.Add(float64(len(vs)))
	q.shift()
	if q.open > 0 && now.Sub(q.progress) >= q.patience {
		q.ask, q.progress, q.patience = true, now, min(2*q.patience, 4*q.cfg.Repeat)
		q.due.Store(true)
	}
	q.turn(now)
	return vs
}

// asks makes the next packet ask.
func (q *sendQueue) asks() {
	q.mu.Lock()
	q.ask = true
	q.due.Store(true)
	q.mu.Unlock()
}

// close finishes all entries, and refuses others.
func (q *sendQueue) close() []verdict {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	var vs []verdict
	for n := q.base; n < q.base+uint64(len(q.entries)); n++ {
		if q.entries[n-q.base].done != nil {
			vs = append(vs, verdict{entry: q.finish(n), err: stopping()})
		}
	}
	q.shift()
	return vs
}

func stopping() error {
	return &chat.Error{Kind: chat.Unavailable, Op: "relay.forward", Text: "the server is stopping, try again", RetryAfter: 1000}
}

func unreachable() error {
	return &chat.Error{Kind: chat.Unavailable, Op: "relay.forward", Text: "the server of the room cannot be reached, try again", RetryAfter: 1000}
}
