package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/change"
)

const (
	maxStreams = 1024        // senders of one lane
	forget     = time.Minute // after which a silent sender is a new one

	// receiptEvery is after how many packets an answer is sent though there is no outcome.
	// It is less than the window, so that outcomes that take long do not stop a sender.
	receiptEvery = 2

	flushTimeout = time.Second
)

// tenure is one lane between two calls of Own.
type tenure struct {
	// Set once.
	relay   *Relay
	lane    int
	id      uint64
	from    *change.Progress // of the lane when it began
	sub     *nats.Subscription
	reading partition // of the durable queue
	working sync.WaitGroup

	mu      sync.Mutex
	over    bool
	streams map[uint64]*stream // by incarnation of the sender
	silent  map[uint64]uint64  // of senders that were forgotten, the number behind what was taken; one for each start of a node at most
	swept   time.Time
}

// Own makes this node the owner of the lane, which has taken so much; nil: no longer so.
// When it returns for an owner, changes arrive and all senders have been told; otherwise
// Submit is not called any more, and outcomes of what was taken are still sent. An error
// means that the connection is closed. Calls for one lane must not overlap, and Submit
// must not wait for one.
func (r *Relay) Own(lane int, from *change.Progress) error {
	if lane < 0 || lane >= len(r.queues) {
		return fmt.Errorf("relay: there is no lane %d", lane)
	}
	r.mu.Lock()
	was := r.tenures[lane]
	r.tenures[lane] = nil
	r.mu.Unlock()
	if was != nil {
		was.end()
	}
	if from == nil {
		return nil
	}
	t, err := r.begin(lane, from)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.tenures[lane] = t
	}
	r.mu.Unlock()
	if closed {
		t.end()
		return fmt.Errorf("relay: closed")
	}
	if err := r.cfg.NATS.FlushTimeout(flushTimeout); err != nil {
		r.cfg.Log.Warn("relay: other nodes reach the lane when the connection works again", "lane", lane, "err", err)
	}
	t.announce()
	return nil
}

func (r *Relay) begin(lane int, from *change.Progress) (*tenure, error) {
	sub, err := r.cfg.NATS.SubscribeSync(r.laneSubject("ch", lane))
	if err != nil {
		return nil, err
	}
	limit(sub)
	t := r.newTenure(lane, from)
	t.sub = sub
	t.working.Go(func() { receive(sub, t.receive, t.tidy) })
	if r.cfg.Queue != nil {
		ctx, cancel := context.WithCancel(context.Background())
		t.reading.stop = cancel
		t.working.Go(func() { t.readAll(ctx) })
		t.working.Go(func() { t.trimAll(ctx) })
	}
	return t, nil
}

func (r *Relay) newTenure(lane int, from *change.Progress) *tenure {
	return &tenure{
		relay: r, lane: lane, id: rand.Uint64(), from: from,
		reading: newPartition(), streams: map[uint64]*stream{}, silent: map[uint64]uint64{}, swept: r.cfg.Now(),
	}
}

// end returns when no packet is handled any more.
func (t *tenure) end() {
	_ = t.sub.Unsubscribe() // of a connection that is closed, it has ended
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.reading.stop()
	t.working.Wait()
}

// announce tells all senders, those of other nodes and this one's own.
func (t *tenure) announce() {
	a := announcement{lane: uint64(t.lane), tenure: t.id, node: t.relay.cfg.Node}
	t.relay.put(t.relay.laneSubject("own", t.lane), a.append(nil))
}

// receive handles a packet from another node or this one.
func (t *tenure) receive(data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.handle(data)
	}
}

// handle takes what a packet holds. t.mu is held.
func (t *tenure) handle(data []byte) {
	r := t.relay
	p, err := decodePacket(data)
	if err != nil || p.lane != uint64(t.lane) {
		r.garbage("packet", len(data))
		return
	}
	r.count.servedPackets.Inc()
	if p.slots > r.cfg.MapVersion() {
		r.newer(p.slots)
		return
	}
	s := t.stream(&p)
	if s == nil {
		return
	}
	next, known := s.hear(&p)
	next = s.lose(next, min(p.kept, t.taken(p.from)))
	if p.first > next {
		if known {
			r.count.holes.Inc()
		}
		s.missing(p.ask)
		return
	}
	now, served := t.takeAll(s, &p, next)
	s.took(now, served, p.ask)
}

// takeAll takes the entries from next on. It reports false if the lane is not owned.
func (t *tenure) takeAll(s *stream, p *packet, next uint64) (uint64, bool) {
	for i, b := range p.entries {
		n := p.first + uint64(i)
		if n < next {
			continue
		}
		if n-p.base >= maxSpan || !t.take(s, p, n, b) {
			return next, false
		}
		next++
	}
	return next, true
}

// take hands one entry to the lane. It reports false if this node does not own it.
func (t *tenure) take(s *stream, p *packet, n uint64, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	c, err := change.Decode(b)
	if err != nil {
		s.finished(n, change.Reply{}, err)
		return true
	}
	done := func(reply change.Reply, err error) { s.finished(n, reply, err) }
	switch t.relay.cfg.Submit(t.lane, c, change.Origin{Sender: s.from, Number: n, Map: p.slots}, done) {
	case NotOwner:
		return false
	case OtherMap:
		s.keep(outcome{n: n, how: moved, slots: t.relay.cfg.MapVersion()})
	}
	t.relay.count.served.Inc()
	return true
}

// stream returns the sender's, a new one if it is not known; nil if there are too many.
// t.mu is held.
func (t *tenure) stream(p *packet) *stream {
	now := t.relay.cfg.Now()
	if now.Sub(t.swept) >= forget {
		t.sweep()
	}
	s := t.streams[p.from]
	if s == nil || s.isGone() {
		if s == nil && len(t.streams) >= maxStreams {
			t.relay.cfg.Log.Warn("relay: too many senders", "lane", t.lane)
			return nil
		}
		s = &stream{relay: t.relay, lane: uint64(t.lane), tenure: t.id, from: p.from, next: p.base, base: p.base}
		t.streams[p.from] = s
	}
	s.at = now
	return s
}

func (t *tenure) tidy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
}

// taken is the number behind what was taken of a sender before its stream began: by earlier
// owners, or by this one before the sender was forgotten. The outcomes are not known any
// more. t.mu is held.
func (t *tenure) taken(from uint64) uint64 { return max(t.from.Next[from], t.silent[from]) }

// sweep forgets senders that have been silent, but for how far they were taken. A sender
// that was refused something stays: what was refused may be in the durable queue, and must
// not pass for taken. t.mu is held.
func (t *tenure) sweep() {
	t.swept = t.relay.cfg.Now()
	for from, s := range t.streams {
		if t.swept.Sub(s.at) < forget {
			continue
		}
		next, refused, gone := s.state()
		if refused && !gone && t.relay.cfg.Queue != nil {
			continue
		}
		delete(t.streams, from)
		if !gone { // the next owner takes it
			t.silent[from] = max(t.silent[from], next)
		}
	}
}
