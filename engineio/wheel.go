package engineio

import (
	"sync"
	"time"
)

// wheel looks after the deadlines of all sockets with one ticker. A socket sits
// in the slot of a tick; when the tick comes the socket is visited and says
// when it wants to be visited next. Deadlines usually move away while a socket
// waits, so nothing is done when they do: the visit comes early and the socket
// is put back.
type wheel struct {
	// set once
	tick time.Duration

	mu    sync.Mutex
	slots []*Socket // heads of lists linked by Socket.spoke
	now   int64     // ticks that have been
}

// spoke is a socket's place in the wheel, guarded by wheel.mu.
type spoke struct {
	next, prev *Socket
	slot       int32 // of which it is the head, if prev is nil
	in, gone   bool
}

func newWheel(o *Options) *wheel {
	tick := min(max(min(o.PingInterval, o.PingTimeout)/20, time.Millisecond), 250*time.Millisecond)
	return &wheel{tick: tick, slots: make([]*Socket, (o.PingInterval+o.PingTimeout)/tick+2)}
}

// put plans the next visit for when due has passed, or earlier if that is
// further away than the wheel is round. A socket that was removed stays out.
func (w *wheel) put(s *Socket, due time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.spoke.gone || s.spoke.in {
		return
	}
	at := int64((due + w.tick - 1) / w.tick)
	at = max(w.now+1, min(at, w.now+int64(len(w.slots))-1))
	slot := int32(at % int64(len(w.slots)))
	head := w.slots[slot]
	s.spoke = spoke{next: head, slot: slot, in: true}
	if head != nil {
		head.spoke.prev = s
	}
	w.slots[slot] = s
}

// remove takes the socket out for good.
func (w *wheel) remove(s *Socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
	s.spoke.gone = true
}

func (w *wheel) unlink(s *Socket) {
	p := &s.spoke
	if !p.in {
		return
	}
	if p.next != nil {
		p.next.spoke.prev = p.prev
	}
	if p.prev != nil {
		p.prev.spoke.next = p.next
	} else {
		w.slots[p.slot] = p.next
	}
	s.spoke = spoke{}
}

// run visits until done is closed.
func (w *wheel) run(done <-chan struct{}, now func() time.Duration) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	var due []*Socket
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		due = w.turn(due[:0], int64(now()/w.tick))
		for _, s := range due {
			if next, ok := s.visit(now()); ok {
				w.put(s, next)
			}
		}
		clear(due)
	}
}

// turn goes on to a tick and takes out the sockets on the way.
func (w *wheel) turn(due []*Socket, to int64) []*Socket {
	w.mu.Lock()
	defer w.mu.Unlock()
	if round := int64(len(w.slots)); to-w.now > round {
		w.now = to - round // the process was asleep: once round is enough
	}
	for w.now < to {
		w.now++
		for slot := int(w.now % int64(len(w.slots))); w.slots[slot] != nil; {
			s := w.slots[slot]
			w.unlink(s)
			due = append(due, s)
		}
	}
	return due
}
