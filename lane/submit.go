package lane

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// verdict is what submit did with a change.
type verdict int

const (
	taken     verdict = iota // it has its outcome, or will have
	astray                   // nothing: its slots belong to another lane by now, or some are held and others are not
	elsewhere                // nothing: this node does not own the lane
)

// submit hands a change to the lane, or to the hold of its slots. A change without
// slots concerns the whole shard.
func (l *lane) submit(it item, slots slotsOf) verdict {
	l.mu.Lock()
	held, here := l.place(&it, slots)
	if !here {
		l.mu.Unlock()
		return astray
	}
	// The tenure of a lane of a cluster ends where the position is unknown. Until it has, a change is
	// not refused: it may be one that the durable queue has accepted.
	away := l.away || l.cfg.Cluster != nil && l.positionUnknown.Load()
	if away && !l.closed && (!held || l.hold.all) || it.term != 0 && it.term != l.term {
		l.mu.Unlock()
		return elsewhere
	}
	var err *chat.Error
	switch {
	case l.closed:
		err = &chat.Error{Kind: chat.Unavailable, Op: "lane.submit", Text: "the server is stopping, try again", RetryAfter: 1000}
	case held:
		err = l.hold.add(it, l, l.cfg)
	case l.positionUnknown.Load(): // the database hangs: nothing is made to wait for it
		err = &chat.Error{Kind: chat.Unavailable, Op: "lane.submit", Text: "the database of the room does not answer, try again", RetryAfter: 1000}
	case full(len(l.waiting), l.bytes, it.size, l.cfg):
		err = busy()
	default:
		l.waiting = append(l.waiting, it)
		l.bytes += it.size
	}
	l.mu.Unlock()
	if err != nil {
		l.metrics.refused.Inc()
		it.done(change.Reply{}, err)
		return taken
	}
	if !held {
		l.wake()
	}
	return taken
}

// submitHere is submit for what only the owner of the lane does.
func (l *lane) submitHere(it item, slots slotsOf) {
	if l.submit(it, slots) != taken {
		it.done(change.Reply{}, notOwner(chat.Unavailable))
	}
}

// full reports whether so much waits that an item of the size has no space.
func full(items, bytes, size int, cfg *Config) bool {
	return items >= cfg.MaxWaiting || bytes+size > cfg.MaxBytes && items > 0
}

// busy is known by change.IsFull, from which the errors of rules differ.
func busy() *chat.Error {
	return &chat.Error{Kind: chat.Busy, Op: "lane.submit", RetryAfter: retryAfterBusy}
}
