package hub

import (
	"sync/atomic"

	"github.com/roomtide/roomtide/chat"
)

// subState is what a subscription gets.
type subState uint8

const (
	subPaused  subState = iota // nothing yet; the log is kept from where Subscribe found it
	subWaiting                 // nothing until the room has come to rev after
	subFlowing                 // everything from at on
	subStopped                 // nothing until Subscribe: the client was told of a gap
)

// subscription is a connection in a room: an offset in the log of its encoding,
// and what becomes of the bytes behind it.
type subscription struct {
	// Set once.
	conn  *Conn
	share *roomShare

	// Changed under share.mu. Bytes that were collected for the subscription are
	// not written once its flow has changed.
	flow atomic.Uint32

	// Guarded by share.mu.
	index int32    // in share.subs, -1 after Unsubscribe
	state subState // set by setState
	at    offset   // nothing before it is needed; flowing: the next byte to write
	after chat.Rev // what Resume was called with

	// Guarded by conn.mu.
	counted bool     // Presence has it: whatever takes it out of conn.subs gives that back
	asOf    chat.Rev // the newest rev at which the user is known to be a member; unknownRev before Enter

	// Guarded by conn.mu, for connections that are tracked.
	since chat.Rev // the rev that it was resumed behind
	sent  chat.Rev // everything up to here was written; unknownRev before Resume
}

// setState keeps count of what is flowing. share.mu is held.
func (s *subscription) setState(to subState) {
	if s.state != subFlowing && to == subFlowing {
		s.share.room.flowing.Add(1)
	} else if s.state == subFlowing && to != subFlowing {
		s.share.room.flowing.Add(-1)
	}
	s.state = to
}

// pause stops the flow and keeps the log from its present end.
func (s *subscription) pause() {
	p := s.share
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index < 0 {
		return
	}
	s.flow.Add(1)
	s.setState(subPaused)
	p.room.mu.Lock()
	s.at = p.room.logs[s.conn.encodingID].head
	p.retain(s)
	p.room.mu.Unlock()
}

// resume lets a paused subscription flow and reports whether the worker has to
// look at it: there is something to write already. The caller reports the gap.
func (s *subscription) resume(after chat.Rev) (pending bool, g *gap) {
	p := s.share
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.index < 0 || s.state != subPaused {
		return false, nil
	}
	s.after = after
	s.conn.mu.Lock()
	s.conn.noteResumed(s, after)
	s.conn.mu.Unlock()
	return s.begin()
}

// end gives the subscription up; the caller took it out of conn.subs.
func (s *subscription) end() {
	s.share.remove(s)
	s.conn.hub.release(s.share.room)
}

// begin moves a paused or waiting subscription on to where it belongs now.
// share.mu is held.
func (s *subscription) begin() (pending bool, g *gap) {
	r := s.share.room
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.logs[s.conn.encodingID]
	if r.rev == unknownRev {
		if s.at.off < l.loss.end { // what was lost may have happened behind after
			return true, s.stop(s.after, l.loss)
		}
		r.know(s.after)
	}
	if s.after > r.rev {
		s.setState(subWaiting)
		r.expect(s.after)
		return false, nil
	}
	at, ok := l.find(s.after)
	if !ok {
		return true, s.stop(s.after, l.loss)
	}
	s.at = at
	s.share.retain(s)
	s.setState(subFlowing)
	return at.off < l.head.off, nil
}

// stop ends the flow with a gap after rev: nothing is written until the
// connection subscribes again. The caller reports the gap when it holds no locks.
// share.mu is held.
func (s *subscription) stop(rev chat.Rev, last loss) *gap {
	g := &gap{s.conn, s.share.room.id, s.gapReason(last)}
	s.setState(subStopped)
	s.conn.queue(g.frame(rev), false)
	return g
}

// gapReason says why a subscription cannot go on from where it is; last is the
// last loss of its log. share.mu is held.
func (s *subscription) gapReason(last loss) chat.GapReason {
	switch {
	case s.at.off < last.end:
		return last.reason
	case s.state == subFlowing:
		return chat.GapSlow
	}
	return chat.GapBehind
}
