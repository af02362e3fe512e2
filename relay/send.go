package relay

import (
	"bytes"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

const (
	// What a subscription holds until it is handled; beyond, NATS drops messages, which
	// are then missed and sent again.
	maxPendingMsgs  = 16 << 10
	maxPendingBytes = 64 << 20

	idle = time.Minute // without a message, after which receive looks after what is old
)

func limit(sub *nats.Subscription) { _ = sub.SetPendingLimits(maxPendingMsgs, maxPendingBytes) }

// receive handles messages until the subscription ends, and calls old when none came for
// a while.
func receive(sub *nats.Subscription, handle func([]byte), old func()) {
	for {
		m, err := sub.NextMsg(idle)
		switch {
		case err == nil:
			handle(m.Data)
		case errors.Is(err, nats.ErrTimeout):
			old()
		case !errors.Is(err, nats.ErrSlowConsumer): // which is said once, behind a loss
			return
		}
	}
}

// send cuts and publishes packets, and looks at the time while something is open.
func (r *Relay) send() {
	every := max(min(r.cfg.Repeat, r.cfg.Overflow)/4, time.Millisecond)
	timer := time.NewTimer(every)
	defer timer.Stop()
	armed := true
	var b []byte
	for {
		select {
		case <-r.stop:
			return
		case <-timer.C:
			armed = false
			now := r.cfg.Now()
			for _, q := range r.queues {
				r.tell(q.tick(now))
			}
		case <-r.wake:
		}
		for _, q := range r.queues {
			b = r.flush(q, b)
		}
		if !armed && r.count.waiting.Load() > 0 {
			timer.Reset(every)
			armed = true
		}
	}
}

// flush publishes the packets of a queue that are due. The buffer is used again.
func (r *Relay) flush(q *sendQueue, b []byte) []byte {
	if !q.due.Swap(false) {
		return b
	}
	subject, slots := r.laneSubject("ch", q.lane), r.cfg.MapVersion()
	for {
		var ok bool
		if b, ok = q.cut(b[:0], slots); !ok {
			return b
		}
		r.count.packets.Inc()
		if t := r.tenure(q.lane); t != nil {
			t.receive(bytes.Clone(b))
		} else {
			r.put(subject, b)
		}
	}
}

// tenure is this node's in the lane, nil if it does not own it.
func (r *Relay) tenure(lane int) *tenure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tenures[lane]
}

// put publishes. An error is a loss like any other.
func (r *Relay) put(subject string, b []byte) {
	if err := r.publish(subject, b); err != nil {
		r.count.failures.Inc()
		r.cfg.Log.Debug("relay: not published", "subject", subject, "err", err)
	}
}

// answers handles a message from an owner.
func (r *Relay) answers(data []byte) {
	as, err := decodeAnswers(data)
	if err != nil {
		r.garbage("answer", len(data))
		return
	}
	now := r.cfg.Now()
	for i := range as {
		if as[i].lane >= uint64(len(r.queues)) {
			r.garbage("answer", len(data))
			continue
		}
		r.tell(r.queues[as[i].lane].heard(&as[i], now))
	}
	signal(r.wake)
}

// announced handles an announcement.
func (r *Relay) announced(data []byte) {
	a, err := decodeAnnouncement(data)
	if err != nil || a.lane >= uint64(len(r.queues)) {
		r.garbage("announcement", len(data))
		return
	}
	r.cfg.Log.Debug("relay: a lane has an owner", "lane", a.lane, "node", a.node)
	r.queues[a.lane].announced(a.tenure)
	signal(r.wake)
}

// tell runs the callers' functions.
func (r *Relay) tell(vs []verdict) {
	for i := range vs {
		switch v := &vs[i]; {
		case v.handed && v.err == nil && v.how == moved: // handOver looks where its slot is now
			v.done(change.Reply{}, unreachable())
		case v.err == nil && v.how == moved && isOfLane(v.change): // by an owner of an older version
			v.done(change.Reply{}, unreachable())
		case v.err == nil && v.how == moved:
			r.reroute(v)
		case v.err == nil && v.how == lost && v.repeatable():
			r.reroute(v)
		default:
			r.router.leave(&v.entry)
			v.done(v.result())
		}
	}
	if len(vs) > 0 {
		r.cfg.AfterOutcomes()
	}
}

// repeatable reports whether the change can be handed on to learn its outcome, and makes it
// ready for that: of a message its key tells. Of another change it cannot be told any more:
// changes behind it may have been decided since.
func (v *verdict) repeatable() bool {
	send, ok := v.change.(*change.Send)
	if ok {
		repeat := *send
		repeat.Accepted = nil
		v.change = &repeat
	}
	return ok
}

// result is what came of the change.
func (v *verdict) result() (change.Reply, error) {
	switch {
	case v.err != nil:
		return change.Reply{}, v.err
	case v.how == lost:
		return change.Reply{}, &chat.Error{Kind: chat.Unavailable, Op: "relay.again", Text: "it is not known what came of it, try again", RetryAfter: 1000}
	}
	return change.DecodeReply(v.reply)
}

func (r *Relay) garbage(what string, size int) {
	r.count.garbage.Inc()
	r.cfg.Log.Warn("relay: a message that cannot be read", "what", what, "bytes", size)
}
