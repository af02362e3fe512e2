package lane

import (
	"github.com/roomtide/roomtide/change"
)

// A hold in a cluster. Changes come from senders, which hand them on to whichever lane owns
// the slot by their map: so what has waited is not given to the other lane here, but goes
// back to its sender, with change.ErrMoved.

// take empties the hold.
func (h *hold) take() []item {
	h.mu.Lock()
	defer h.mu.Unlock()
	items := make([]item, len(h.items))
	for i := range h.items {
		items[i] = h.items[i].item
	}
	h.items, h.bytes = nil, 0
	return items
}

// releaseAll is Release in a cluster: what waits goes on in the lane, or back to its
// sender.
func (ls *Lanes) releaseAll(h *hold) {
	l, moved := h.from, ls.ownsAll(h.to.shard, h.slots)
	var gone, back, both []item
	l.mu.Lock()
	if l.hold != h {
		l.mu.Unlock()
		ls.hold.CompareAndSwap(h, nil)
		return
	}
	l.hold = nil
	items := h.take()
	if l.away {
		back = items
	} else {
		for _, it := range items {
			_, here := l.place(&it, slotsOfChange(it.change))
			switch {
			case !here:
				gone = append(gone, it)
				continue
			case moved && isWholeNode(it.change):
				both = append(both, it)
			}
			l.waiting = append(l.waiting, it)
			l.bytes += it.size
		}
	}
	l.mu.Unlock()
	ls.hold.CompareAndSwap(h, nil)
	l.wake()
	returned(back)
	for _, it := range gone {
		it.done(change.Reply{}, change.ErrMoved)
	}
	for _, it := range both { // some of the entries of the node are in the other lane by now
		ls.cfg.Cluster.Forward(h.to.shard, it.change, func(change.Reply, error) {})
	}
}

// refuseAll is Refuse in a cluster: the lane ends, and what waits goes to its next owner.
func (ls *Lanes) refuseAll(h *hold) {
	items := h.take()
	h.from.leaving.Store(true)
	h.from.wake()
	returned(items)
}

// slotsOfChange is the slots that a change of a sender concerns.
func slotsOfChange(c change.Change) slotsOf {
	switch c := c.(type) {
	case *change.Online:
		return slotsOf{online: c.Changes}
	case *change.Nop, *change.Cursors: // of the lane: positions of another one are others
		return slotsOf{}
	}
	return slotsOf{one: true, slot: c.Slot()}
}

func isWholeNode(c change.Change) bool {
	online, ok := c.(*change.Online)
	return ok && wholeNode(online.Changes)
}

// Place returns the parts of a change and the shards that own their slots by this node's
// map. Only changes of online entries can be of several.
func (ls *Lanes) Place(c change.Change) map[int]change.Change {
	online, ok := c.(*change.Online)
	if !ok {
		return map[int]change.Change{ls.store.ShardOf(c.Slot()): c}
	}
	parts := map[int]change.Change{}
	for _, o := range online.Changes {
		slot := o.Room.Slot()
		if o.Room == "" { // all entries of a node
			slot = online.At
		}
		shard := ls.store.ShardOf(slot)
		if parts[shard] == nil {
			parts[shard] = &change.Online{At: slot}
		}
		part := parts[shard].(*change.Online)
		part.Changes = append(part.Changes, o)
	}
	return parts
}
