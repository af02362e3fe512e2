package relay

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The way through the durable queue, for the sender. Decision 29 has the reasons.

const (
	// maxAccepted bounds what is kept of accepted changes of one lane until their outcome,
	// in bytes.
	maxAccepted = 128 << 20

	appendLimit = 2 * time.Second // for one entry of the durable queue to be on a quorum
	retryAppend = 100 * time.Millisecond
	restAppend  = 2 * time.Second // between attempts, at most
)

// overflow is the part of a sendQueue that knows the durable queue. While it is on, all
// that is open goes there, and nothing directly, unless the durable queue does not work.
type overflow struct {
	on        bool
	failing   bool   // the last attempt to append has failed
	appended  uint64 // numbers below are accepted, or were open before
	tried     uint64 // numbers below are accepted, or may be in the durable queue
	appending bool   // an entry of the durable queue is on its way
	returning bool   // nothing is appended until what was has its outcome; then it ends
	open      int    // accepted, without an outcome
	bytes     int    // of those
}

// direct reports whether what is open goes to the owner directly. Where the durable queue
// fails, both ways are tried: the owner may be there before the queue is, as when a node
// dies together with the leader of the queue. What is accepted has one way only, and what
// follows it may not pass it.
func (q *sendQueue) direct() bool {
	o := &q.overflow
	return !o.on || o.failing && !q.cfg.Always && q.base >= o.appended
}

// keep has the goroutine of the lane look for what is to be appended.
func (q *sendQueue) keep() {
	if q.overflow.on {
		signal(q.unkept)
	}
}

// keptUp notes that the owner answers what was appended as soon as it would answer directly.
func (q *sendQueue) keptUp(e *entry, now time.Time) {
	if e.accepted && now.Sub(e.since) < q.cfg.Overflow/2 {
		q.overflow.returning = !q.cfg.Always
	}
}

// turn chooses the way. It turns to the durable queue when the oldest open entry has
// waited for Config.Overflow, and back when all that was appended has its outcome: the
// entries behind it go directly again, so that no order depends on two ways.
func (q *sendQueue) turn(now time.Time) {
	o := &q.overflow
	switch {
	case q.cfg.Queue == nil || q.closed:
	case !o.on:
		if q.open > 0 && now.Sub(q.entries[0].since) >= q.cfg.Overflow {
			o.on, o.appended, o.tried, o.returning = true, q.base, q.base, false
			q.ends = q.ends[:0]
			q.count.overflows.Inc()
		}
	case q.cfg.Always:
	case !o.appending && q.base >= o.appended && (o.returning || q.open == 0):
		o.on, o.returning = false, false
		q.sent, q.ends = q.base, q.ends[:0]
		q.due.Store(true)
	case o.returning && q.open > 0 && now.Sub(q.entries[0].since) >= q.cfg.Overflow:
		o.returning = false
	}
	q.keep()
}

// cutEntry appends the next entry of the durable queue to b, a packet, and returns the
// number behind it. It is on its way until appended or failed.
func (q *sendQueue) cutEntry(b []byte) ([]byte, uint64, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := &q.overflow
	first, end := max(o.appended, q.base), q.base+uint64(len(q.entries))
	if !o.on || o.returning || q.closed || first == end {
		return b, 0, false
	}
	slots := q.entries[first-q.base].byMap
	p := packet{from: q.from, lane: uint64(q.lane), slots: slots, base: q.base, first: first}
	b = p.appendHeader(b)
	n := first
	for ; n < end; n++ {
		e := &q.entries[n-q.base]
		if n > first && (len(b)+len(e.bytes)+binary.MaxVarintLen32 > maxPacket || e.done != nil && e.byMap != slots) {
			break
		}
		b = binary.AppendUvarint(b, uint64(len(e.bytes)))
		b = append(b, e.bytes...)
	}
	q.top = max(q.top, n)
	o.tried = max(o.tried, n)
	o.appending = true
	return b, n, true
}

// appended marks the entries below end as accepted, as the entry of the durable queue with
// the number, and returns the functions that tell of it.
func (q *sendQueue) appended(end, number uint64, now time.Time) (tell []func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := &q.overflow
	o.appending, o.failing = false, false
	for n := max(o.appended, q.base); n < end; n++ {
		e := &q.entries[n-q.base]
		if e.done == nil {
			continue
		}
		e.accepted, e.since, e.bytes = true, now, nil
		o.open++
		o.bytes += e.size
		q.bytes -= e.size
		q.count.accepted.Inc()
		if send, ok := e.change.(*change.Send); ok && send.Accepted != nil {
			at := change.Queued{Lane: q.lane, Entry: number, Key: send.Draft.Key}
			tell = append(tell, func() { send.Accepted(at) })
		}
	}
	o.appended = max(o.appended, end)
	q.turn(now)
	return tell
}

// failed says that an entry of the durable queue may not be there.
func (q *sendQueue) failed() {
	q.mu.Lock()
	q.overflow.appending, q.overflow.failing = false, true
	if q.overflow.on && q.direct() {
		q.back(q.base)
		q.due.Store(true)
	}
	q.mu.Unlock()
}

// keepAll is the goroutine that appends what one lane has for the durable queue, one entry
// at a time: what comes meanwhile is the next one.
func (r *Relay) keepAll(q *sendQueue) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.working.Go(func() {
		select {
		case <-r.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	wait := retryAppend
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.unkept:
		}
		for r.keepOne(ctx, q, &wait) {
		}
	}
}

// keepOne reports whether there may be more.
func (r *Relay) keepOne(ctx context.Context, q *sendQueue, wait *time.Duration) bool {
	b, end, ok := q.cutEntry(nil)
	if !ok {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, appendLimit)
	number, err := r.cfg.Queue.Append(limited, q.lane, b)
	cancel()
	if err == nil {
		*wait = retryAppend
		tell := q.appended(end, number, r.cfg.Now())
		for _, accepted := range tell {
			accepted()
		}
		if len(tell) > 0 {
			r.cfg.AfterOutcomes()
		}
		signal(r.wake)
		return true
	}
	q.failed()
	signal(r.wake)
	r.count.unkept.Inc()
	if *wait == retryAppend && ctx.Err() == nil {
		r.cfg.Log.Warn("the durable queue does not take changes", "lane", q.lane, "kind", chat.KindOf(err).Code(), "err", err)
	}
	timer := time.NewTimer(*wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	*wait = min(2**wait, restAppend)
	return true
}
