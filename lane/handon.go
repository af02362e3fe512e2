package lane

import (
	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// How a lane of a cluster ends on this node: what waits goes to the node that owns it next.

// lost reports whether run has to end because the lane is another node's, or may be.
// Without a cluster a lane stays, and tells why it does not work.
func (l *lane) lost() bool {
	return l.cfg.Cluster != nil && (l.fenced || l.leaving.Load() || l.positionUnknown.Load())
}

// isHanding reports whether run hands on what waits just now: what is submitted
// meanwhile waits behind it.
func (l *lane) isHanding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handing && !l.away
}

// handOn forwards what waits, in its order, and then has submit forward by itself.
func (l *lane) handOn() {
	for {
		l.mu.Lock()
		l.handing = true
		items := l.waiting
		l.waiting, l.bytes = nil, 0
		if len(items) == 0 {
			l.writeErr.Store(nil)
			l.away = true
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		for i := range items {
			l.handOnItem(&items[i])
		}
	}
}

func (l *lane) handOnItem(it *item) {
	kind := it.change.Kind()
	switch {
	case it.other: // its node turns to the next owner
		it.done(change.Reply{}, notOwner(chat.Fenced))
	case it.step != nil || kind == change.KindCursors || kind == change.KindNop: // only the owner's to do
		it.done(change.Reply{}, notOwner(chat.Unavailable))
	default:
		l.cfg.Cluster.Forward(l.shard, it.change, it.done)
	}
}

func notOwner(kind chat.Kind) *chat.Error {
	return &chat.Error{Kind: kind, Op: "lane.submit", Text: "another node owns the shard", RetryAfter: 1000}
}

// failed ends a batch that was not committed. In a cluster, where the database is away or
// the lane another node's, its changes are not refused: behind them others of the same
// senders wait, which would overtake them. The tenure ends, and all are handed on in their
// order. Only a message without a key is refused if it may have been written.
func (l *lane) failed(items []item, err error) {
	kind := chat.KindOf(err)
	if l.cfg.Cluster == nil || kind != chat.Fenced && kind != chat.Unavailable {
		l.fail(items, err)
		return
	}
	l.fenced = true
	var back []item
	for i, it := range items {
		if s, ok := it.change.(*change.Send); ok && s.Draft.Key == "" && l.unsure {
			l.fail(items[i:i+1], err)
			continue
		}
		back = append(back, it)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(back, l.waiting...)
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
