package relay

import (
	"errors"
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// stream is what an owner knows of one sender.
type stream struct {
	// Set once.
	relay  *Relay
	lane   uint64
	tenure uint64
	from   uint64

	at time.Time // of the last packet; owned by the goroutine of the tenure

	mu     sync.Mutex
	next   uint64
	base   uint64
	kept   []outcome // of base and what follows; n is 0 where there is none
	fresh  []outcome // not sent yet
	wanted uint64    // next, when it was last said that it is wanted
	want   bool      // to be said
	untold int       // packets since the last answer
	queued bool      // stands in the mouth's list
	gone   bool      // the lane was taken over before it answered: to be forgotten
}

func (s *stream) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// state is what is left of the stream when its sender is forgotten: what is next, and whether
// an entry was refused, as its slot had left the lane.
func (s *stream) state() (next uint64, refused, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		refused = refused || s.kept[i].n != 0 && s.kept[i].how == moved
	}
	return s.next, refused, s.gone
}

// hear moves base, and next with it. Known reports whether the sender had been heard.
func (s *stream) hear(p *packet) (next uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known = s.wanted != 0 || s.next > p.base
	s.next = max(s.next, p.base)
	if p.base > s.base {
		s.kept = s.kept[min(p.base-s.base, uint64(len(s.kept))):]
		s.base = p.base
		if len(s.kept) == 0 {
			s.kept = nil
		}
	}
	return s.next, known
}

// lose answers that the outcomes of the entries from next to end, which the sender does not
// send any more, are not known, and returns what is next.
func (s *stream) lose(next, end uint64) uint64 {
	for ; next < end; next++ {
		s.keep(outcome{n: next, how: lost})
	}
	s.skipTo(next)
	return next
}

// skipTo moves next over a hole that nothing can fill any more.
func (s *stream) skipTo(next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = max(s.next, next)
}

// missing says that next is wanted, once for each hole and if it is asked.
func (s *stream) missing(ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == s.next && !ask {
		return
	}
	s.wanted, s.want = s.next, true
	if ask {
		s.sayAll()
	}
	s.tell()
}

// took moves next behind what was taken. If the lane is not served, nothing is said.
func (s *stream) took(next uint64, served, ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
	if !served {
		return
	}
	s.untold++
	if ask {
		s.sayAll()
	}
	if ask || s.untold >= receiptEvery {
		s.tell()
	}
}

// finished is the Done of an entry.
func (s *stream) finished(n uint64, reply change.Reply, err error) {
	if err != nil && chat.KindOf(err) == chat.Fenced {
		s.mu.Lock()
		s.gone = true
		s.mu.Unlock()
		return
	}
	if errors.Is(err, change.ErrMoved) {
		s.keep(outcome{n: n, how: moved, slots: s.relay.cfg.MapVersion()})
		return
	}
	s.keep(outcome{n: n, reply: change.AppendReply(nil, &reply, err)})
}

// isMoved reports whether the sender was told that the slot of the entry has left the lane.
func (s *stream) isMoved(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n >= s.base && n-s.base < uint64(len(s.kept)) && s.kept[n-s.base].n == n && s.kept[n-s.base].how == moved
}

// keep says an outcome, and keeps it for when it is asked for.
func (s *stream) keep(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.n < s.base || o.n-s.base >= maxSpan {
		return // the sender has given it up
	}
	at := int(o.n - s.base)
	for len(s.kept) <= at {
		s.kept = append(s.kept, outcome{})
	}
	s.kept[at] = o
	s.fresh = append(s.fresh, o)
	s.tell()
}

// sayAll makes all outcomes fresh.
func (s *stream) sayAll() {
	s.fresh = s.fresh[:0]
	for _, o := range s.kept {
		if o.n != 0 {
			s.fresh = append(s.fresh, o)
		}
	}
}

// tell puts the stream in the list of those with something to say.
func (s *stream) tell() {
	if !s.queued {
		s.queued = true
		s.relay.mouth.add(s)
	}
}

// answer takes what is to be said.
func (s *stream) answer() answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := answer{lane: s.lane, tenure: s.tenure, next: s.next, want: s.want, outcomes: s.fresh}
	s.queued, s.want, s.untold, s.fresh = false, false, 0, nil
	return a
}

// mouth lists the streams with something to say.
type mouth struct {
	wake chan struct{} // set once

	mu      sync.Mutex
	streams []*stream
	closed  bool
}

func (m *mouth) add(s *stream) {
	m.mu.Lock()
	if !m.closed {
		m.streams = append(m.streams, s)
	}
	m.mu.Unlock()
	signal(m.wake)
}

// take takes all of them, and no more are listed if it is the last time.
func (m *mouth) take(last bool) []*stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = m.closed || last
	ss := m.streams
	m.streams = nil
	return ss
}

// say publishes answers, packed for each sender. What comes meanwhile is packed next.
func (r *Relay) say() {
	for {
		select {
		case <-r.mouth.wake:
			r.sayOnce(false)
		case <-r.stop:
			r.sayOnce(true)
			return
		}
	}
}

func (r *Relay) sayOnce(last bool) {
	packs := map[uint64][]byte{}
	for _, s := range r.mouth.take(last) {
		a := s.answer()
		for all := a.outcomes; ; {
			a.outcomes = all[:fitting(all)]
			all = all[len(a.outcomes):]
			b := packs[s.from]
			if b == nil {
				b = append(b, format)
			}
			if b = a.append(b); len(b) >= maxPacket/2 {
				r.answer(s.from, b)
				b = nil
			}
			packs[s.from] = b
			if a.want = false; len(all) == 0 {
				break
			}
		}
	}
	for to, b := range packs {
		if b != nil {
			r.answer(to, b)
		}
	}
}

// fitting is how many outcomes, one at least if there is one, go into half a packet.
func fitting(os []outcome) int {
	size := 0
	for i := range os {
		if size += 32 + len(os[i].reply); size > maxPacket/2 && i > 0 {
			return i
		}
	}
	return len(os)
}

func (r *Relay) answer(to uint64, b []byte) {
	r.count.answers.Inc()
	if to == r.from {
		r.answers(b)
		return
	}
	r.put(r.subject("ack", hex(to)), b)
}
