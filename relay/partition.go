package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The way through the durable queue, for the owner of a lane.

const (
	maxReading = 4                     // entries of the durable queue that have been read and are not committed
	retryTake  = 5 * time.Millisecond  // for a full lane to take a change
	retryRead  = time.Second           // behind a failure that the queue does not wait out
	mapWait    = 20 * time.Millisecond // between looks at the slot map
)

// partition is what a tenure knows of the lane's part of the durable queue.
type partition struct {
	// Set once.
	stop  func() // ends reading, and again does nothing
	slots chan struct{}
	trim  chan struct{} // cap 1: done has grown

	done atomic.Uint64 // entries up to here are committed

	// Owned by readAll.
	read  uint64 // number of the entry that was read last
	holes []hole // before changes of the entry that is being taken
}

// hole is numbers of a sender that are in no entry.
type hole struct {
	of       *stream
	from, to uint64
}

func newPartition() partition {
	return partition{stop: func() {}, slots: make(chan struct{}, maxReading), trim: make(chan struct{}, 1)}
}

var (
	errOver      = errors.New("relay: the lane is not owned any more")
	errElsewhere = errors.New("relay: the slot is of another lane")
)

// readAll takes what the lane's partition holds, from where the lane's database stands.
func (t *tenure) readAll(ctx context.Context) {
	t.reading.read = t.from.Queue
	for ctx.Err() == nil {
		err := t.relay.cfg.Queue.Read(ctx, t.lane, t.reading.read, func(number uint64, data []byte) error {
			return t.takeEntry(ctx, number, data)
		})
		switch {
		case err == nil || errors.Is(err, errOver):
			return
		case chat.KindOf(err) == chat.Conflict:
			// What is missing was deleted by hand, or the queue was made anew. What is
			// there is still taken; its senders' numbers tell what was taken before.
			t.relay.cfg.Log.Error("the durable queue is not the one that was read", "lane", t.lane, "behind", t.reading.read, "err", err)
			t.relay.count.queueHoles.Inc()
			t.reading.read = 0
		default:
			t.relay.cfg.Log.Warn("the durable queue cannot be read", "lane", t.lane, "err", err)
		}
		pause(ctx, retryRead)
	}
}

// pause reports whether it has not ended early.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// takeEntry takes one entry of the durable queue: a packet, as the direct way has it.
func (t *tenure) takeEntry(ctx context.Context, number uint64, data []byte) error {
	select {
	case t.reading.slots <- struct{}{}:
	case <-ctx.Done():
		return errOver
	}
	if t.from.Queue > 0 && t.reading.read == t.from.Queue { // it is there: what an owner that died has not trimmed goes
		t.reading.done.CompareAndSwap(0, t.from.Queue)
		signal(t.reading.trim)
	}
	end, err := t.takePacket(ctx, data)
	if err == nil {
		holes := t.reading.holes
		t.reading.holes = nil
		end.Queue = number
		err = t.insist(ctx, func() (Taken, bool) {
			return t.submit(&change.Nop{}, end, func(_ change.Reply, err error) {
				t.ended(number, holes, err)
			})
		})
	}
	if err != nil {
		<-t.reading.slots
		return err
	}
	t.reading.read = number
	return nil
}

// ended notes that an entry is committed, or goes to the next owner. Holes are reported of
// a committed one only: to an owner that was taken over without knowing it, what its
// successor decided is missing.
func (t *tenure) ended(number uint64, holes []hole, err error) {
	if err == nil {
		for _, h := range holes {
			t.report(h)
		}
		t.reading.done.Store(number)
		signal(t.reading.trim)
	}
	<-t.reading.slots
}

// takePacket takes the changes of an entry. The entry ends with a change of its own, of the
// origin that is returned: behind it all of them are decided, those too that were handed on
// and so are not of this lane.
func (t *tenure) takePacket(ctx context.Context, data []byte) (end change.Origin, err error) {
	r := t.relay
	p, err := decodePacket(data)
	if err != nil || p.lane != uint64(t.lane) {
		r.garbage("entry of the durable queue", len(data))
		return change.Origin{Sender: r.from}, nil
	}
	for p.slots > r.cfg.MapVersion() {
		r.newer(p.slots)
		if !pause(ctx, mapWait) {
			return end, errOver
		}
	}
	end.Sender = p.from
	for i, b := range p.entries {
		end.Number = p.first + uint64(i)
		if err := t.takeQueued(ctx, &p, end.Number, b); err != nil {
			return end, err
		}
	}
	return end, nil
}

// takeQueued takes one change of an entry, unless it was taken before. It is handed on if its slot
// has left the lane.
func (t *tenure) takeQueued(ctx context.Context, p *packet, n uint64, b []byte) error {
	var c change.Change
	var bad error
	if len(b) > 0 {
		c, bad = change.Decode(b)
	}
	var s *stream
	var missing hole
	handed := false // and not decided by that
	for {
		err := t.insist(ctx, func() (Taken, bool) {
			if s = t.stream(p); s == nil {
				return Took, true
			}
			taken := t.taken(p.from)
			next, _ := s.hear(p)
			next = s.lose(next, min(n, taken)) // in entries that were read
			if n > next {                      // its sender appends without holes
				missing = hole{s, next, n}
			}
			took, full := Took, false
			switch {
			case n < next && !handed && !s.isMoved(n):
				return took, false
			case len(b) == 0:
			case n < taken && !handed && t.left(c): // decided before, or refused by an earlier owner: its key tells
				took = OtherMap
			case n < taken && !handed: // decided by an earlier owner, or before its sender was forgotten: what came of it is not known
				s.keep(outcome{n: n, how: lost})
			case bad != nil:
				s.finished(n, change.Reply{}, bad)
			default: // by the map of now: what was sent behind it has waited for it, wherever the slot has been
				from := change.Origin{Sender: p.from, Number: n, Map: t.relay.cfg.MapVersion()}
				took, full = t.submit(c, from, func(reply change.Reply, err error) { s.finished(n, reply, err) })
			}
			if took != NotOwner && !full {
				s.skipTo(n + 1)
				t.relay.count.kept.Inc()
			}
			return took, full
		})
		if missing != (hole{}) {
			t.reading.holes = append(t.reading.holes, missing)
			missing = hole{}
		}
		if !errors.Is(err, errElsewhere) {
			return err
		}
		handed = true
		if decided, err := t.handOver(ctx, c, func(reply change.Reply, err error) { s.finished(n, reply, err) }); decided || err != nil {
			return err
		}
	}
}

// left reports whether a message is of a slot that has left the lane.
func (t *tenure) left(c change.Change) bool {
	send, ok := c.(*change.Send)
	if !ok {
		return false
	}
	_, here := t.relay.cfg.Place(send)[t.lane]
	return !here
}

// report logs a hole, and tells the sender, which repeats what it still has.
func (t *tenure) report(h hole) {
	h.of.lose(h.from, h.to)
	t.relay.count.queueHoles.Inc()
	t.relay.cfg.Log.Error("THE DURABLE QUEUE HAS A HOLE: changes that were accepted may be lost", "lane", t.lane, "from", h.from, "to", h.to)
}

// submit hands a change to the lane, and reports whether the lane is full. t.mu is held.
func (t *tenure) submit(c change.Change, from change.Origin, done change.Done) (Taken, bool) {
	var full atomic.Bool
	took := t.relay.cfg.Submit(t.lane, c, from, func(reply change.Reply, err error) {
		if change.IsFull(err) { // a full lane says so before Submit returns
			full.Store(true)
			return
		}
		done(reply, err)
	})
	return took, full.Load()
}

// insist calls try under t.mu until the lane is not full.
func (t *tenure) insist(ctx context.Context, try func() (took Taken, full bool)) error {
	for {
		t.mu.Lock()
		if t.over {
			t.mu.Unlock()
			return errOver
		}
		took, full := try()
		t.mu.Unlock()
		switch {
		case took == NotOwner:
			return errOver
		case took == OtherMap:
			return errElsewhere
		case !full:
			return nil
		}
		if !pause(ctx, retryTake) {
			return errOver
		}
	}
}

// trimAll lets the queue forget what is committed.
func (t *tenure) trimAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.reading.trim:
		}
		if err := t.relay.cfg.Queue.Trim(ctx, t.lane, t.reading.done.Load()); err != nil && ctx.Err() == nil {
			t.relay.cfg.Log.Warn("the durable queue is not trimmed", "lane", t.lane, "err", err)
		}
	}
}
