package relay

import (
	"slices"
	"sync"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// router holds changes that wait for their lane, and keeps the order of the changes of a
// slot while the slot goes from one lane to another: as long as some of them are open that
// were routed before, none follows the slot.
type router struct {
	wake chan struct{} // set once

	mu      sync.Mutex
	version int64     // of a slot map that was heard of
	parked  []verdict // in no order
	slots   [chat.Slots]openSlot
	last    uint64 // entry.order of the newest change
	closed  bool
}

// openSlot is what this node has open of a slot.
type openSlot struct {
	lane   int   // of those that are open
	byMap  int64 // and the version of the slot map that named it
	open   int   // entries in the queue of the lane
	parked int   // that wait in the router
}

// admits reports whether an entry may be open beside those that are: their slot has got its
// lane in the version moved, and they were routed since.
func (s *openSlot) admits(lane int, moved int64) bool {
	return s.open == 0 || s.lane == lane && moved <= s.byMap
}

// hasOrder reports whether the changes of its slot are done in their order. Others are of a
// lane, or of several slots.
func hasOrder(c change.Change) bool {
	_, online := c.(*change.Online)
	return !online && !isOfLane(c)
}

// isOfLane reports whether a change is of the lane that it was made for, wherever its slot is:
// another lane must not get it.
func isOfLane(c change.Change) bool {
	switch c.(type) {
	case *change.Cursors, *change.Nop:
		return true
	}
	return false
}

// pass puts an entry into the queue of its lane, or parks it behind others of its slot; Busy
// if too many are. An entry without a number of its own is a new one. What is handed on for its
// sender is ordered by the durable queue, and others of its slot that this node has open may
// wait for it there.
func (r *Relay) pass(e *entry, q *sendQueue) error {
	if e.handed || !hasOrder(e.change) {
		return q.add(*e)
	}
	o, moved := &r.router, r.cfg.Moved(e.change.Slot())
	o.mu.Lock()
	defer o.mu.Unlock() // behind add: what enters later is behind it in the queue
	s, fresh := &o.slots[e.change.Slot()], e.order == 0
	if fresh {
		o.last++
		e.order = o.last
	}
	if !fresh {
		s.parked--
	} else if s.parked > 0 || !s.admits(q.lane, moved) {
		if err := o.park(verdict{entry: *e}, r.cfg.MaxWaiting); err != nil {
			return err
		}
		s.parked++
		signal(o.wake)
		return nil
	}
	if s.open > 0 {
		e.byMap = s.byMap // or one of them could be refused, and a later one not
	}
	if err := q.add(*e); err != nil {
		return r.parkAgain(e, s, err)
	}
	s.lane, s.byMap = q.lane, e.byMap
	s.open++
	return nil
}

// parkAgain lets an entry that was promised wait until there is space in the queue of its lane. Others
// are refused with err. o.mu is held.
func (r *Relay) parkAgain(e *entry, s *openSlot, err error) error {
	if !e.promised || r.router.park(verdict{entry: *e}, 2*r.cfg.MaxWaiting) != nil {
		return err
	}
	s.parked++
	return nil
}

// park is called with o.mu held.
func (o *router) park(v verdict, most int) error {
	switch {
	case o.closed:
		return stopping()
	case len(o.parked) >= most:
		return &chat.Error{Kind: chat.Busy, Op: "relay.reroute", RetryAfter: retryBusy}
	}
	o.parked = append(o.parked, v)
	o.version = max(o.version, v.slots)
	return nil
}

// leave counts an entry as open no more.
func (o *router) leave(e *entry) {
	if e.order == 0 {
		return
	}
	o.mu.Lock()
	s := &o.slots[e.change.Slot()]
	s.open--
	wake := s.open == 0 && s.parked > 0
	o.mu.Unlock()
	if wake {
		signal(o.wake)
	}
}

// newer says that another node has a newer map.
func (r *Relay) newer(version int64) {
	r.router.mu.Lock()
	r.router.version = max(r.router.version, version)
	r.router.mu.Unlock()
	signal(r.router.wake)
}

// reroute lets a change that is open no more wait for the map by which it was refused, 0 for
// none, in front of the later ones of its slot.
func (r *Relay) reroute(v *verdict) {
	o := &r.router
	o.mu.Lock()
	err := o.park(*v, 2*r.cfg.MaxWaiting)
	if v.order != 0 {
		s := &o.slots[v.change.Slot()]
		s.open--
		if err == nil {
			s.parked++
		}
	}
	o.mu.Unlock()
	if err != nil {
		v.done(change.Reply{}, err)
	}
	signal(o.wake)
}

// route reads newer maps and routes changes by them, in their order.
func (r *Relay) route() {
	timer := time.NewTimer(r.cfg.Repeat)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			for _, v := range r.router.take(true) {
				v.done(change.Reply{}, stopping())
			}
			return
		case <-r.router.wake:
		case <-timer.C:
		}
		if r.routeOnce() {
			timer.Reset(r.cfg.Repeat)
		}
	}
}

// routeOnce reports whether changes are left that wait for a map, or for others.
func (r *Relay) routeOnce() bool {
	parked := r.router.take(false)
	r.router.mu.Lock()
	version := r.router.version
	r.router.mu.Unlock()
	if version > r.cfg.MapVersion() {
		r.cfg.Stale(version)
	}
	slices.SortStableFunc(parked, func(a, b verdict) int { return int(int64(a.order) - int64(b.order)) })
	defer r.cfg.AfterOutcomes() // of those that are given up or refused here
	now := r.cfg.Now()
	var left []verdict
	blocked := map[chat.Slot]bool{}
	for _, v := range parked {
		byMap := r.cfg.MapVersion() // and then Place, which may go by a newer map: it is refused then
		slot, parts := v.change.Slot(), r.cfg.Place(v.change)
		switch {
		case !now.Before(v.until) && !v.accepted && !v.promised:
			r.router.forget(&v.entry)
			r.count.givenUp.Inc()
			v.done(change.Reply{}, unreachable())
		case v.slots > byMap || v.order != 0 && (blocked[slot] || !r.free(&v, parts)):
			left = append(left, v)
			blocked[slot] = blocked[slot] || v.order != 0
		default:
			v.byMap = byMap
			r.again(parts, v.entry)
		}
	}
	r.router.mu.Lock()
	defer r.router.mu.Unlock()
	r.router.parked = append(r.router.parked, left...)
	return len(r.router.parked) > 0
}

// free reports whether a change may go to its lane, also if it is only to be refused there:
// nothing of its slot is open that was routed before, and nothing before it has come back
// since the parked ones were taken.
func (r *Relay) free(v *verdict, parts map[int]change.Change) bool {
	slot := v.change.Slot()
	moved := r.cfg.Moved(slot)
	o := &r.router
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.parked {
		if p := &o.parked[i]; p.order != 0 && p.order < v.order && p.change.Slot() == slot {
			return false
		}
	}
	for lane := range parts {
		return o.slots[slot].admits(lane, moved) || lane < 0 || lane >= len(r.queues)
	}
	return true
}

// again hands a change on, in its parts, as it is known of in e.
func (r *Relay) again(parts map[int]change.Change, e entry) {
	if len(parts) > 1 {
		e.done = change.Joined(len(parts), e.done)
	}
	for lane, part := range parts {
		e.change = part
		r.forward(lane, e)
	}
}

// forget counts an entry as parked no more.
func (o *router) forget(e *entry) {
	if e.order == 0 {
		return
	}
	o.mu.Lock()
	o.slots[e.change.Slot()].parked--
	o.mu.Unlock()
}

// take takes all changes that wait, and refuses others from now on if last is set.
func (o *router) take(last bool) []verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = o.closed || last
	parked := o.parked
	o.parked = nil
	return parked
}
