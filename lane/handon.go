package lane

import (
	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// How a lane of a cluster ends on this node: what waits goes back to its senders, which
// hand it to the node that owns the lane next.

// lost reports whether run has to end because the lane is another node's, or may be.
// Without a cluster a lane stays, and tells why it does not work.
func (l *lane) lost() bool {
	return l.cfg.Cluster != nil && (l.fenced || l.leaving.Load() || l.positionUnknown.Load())
}

// giveBack ends the lane on this node.
func (l *lane) giveBack() {
	l.mu.Lock()
	items := l.waiting
	l.waiting, l.bytes, l.away = nil, 0, true
	if h := l.hold; h != nil && h.all {
		items = append(items, h.take()...)
	}
	l.writeErr.Store(nil)
	l.mu.Unlock()
	returned(items)
}

// returned gives changes back to their senders, or refuses those that only the owner of
// the lane can do.
func returned(items []item) {
	for i := range items {
		kind := chat.Unavailable
		if items[i].origin.Sender != 0 {
			kind = chat.Fenced
		}
		items[i].done(change.Reply{}, notOwner(kind))
	}
}

func notOwner(kind chat.Kind) *chat.Error {
	return &chat.Error{Kind: kind, Op: "lane.submit", Text: "another node owns the shard", RetryAfter: 1000}
}

// failed ends a batch that was not committed. In a cluster, where the database is away or
// the lane another node's, its changes are not refused: behind them others of the same
// senders wait, which would overtake them. The tenure ends, and all go back to their
// senders. Whether the batch was written may be unknown; its keys tell the next owner.
func (l *lane) failed(items []item, err error) {
	if !l.passes(chat.KindOf(err)) {
		l.fail(items, err)
		return
	}
	l.fenced = true
	returned(items)
}

// passes reports whether what this tenure could not write is the next one's to write. Where
// there is a durable queue that is also so while the disk of the database is full: what
// was accepted is not refused.
func (l *lane) passes(kind chat.Kind) bool {
	c := l.cfg.Cluster
	return c != nil && (kind == chat.Fenced || kind == chat.Unavailable || kind == chat.ReadOnly && c.Queue)
}

// wait returns when run has ended.
func (l *lane) wait() {
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// sayPosition repeats where an idle lane of a cluster stands, so that other nodes see
// what they have missed also while nothing happens.
func (l *lane) sayPosition() {
	if l.cfg.Cluster == nil || l.lost() {
		return
	}
	if !l.quiet { // something was published a moment ago
		l.quiet = true
		return
	}
	if err := l.cfg.Publish(&bus.Batch{Lane: bus.Lane(l.shard), After: l.at.N, Position: l.at.N}); err != nil {
		l.log.Debug("the position of an idle lane did not reach every node", "err", err)
	}
}
