package lane

import (
	"slices"
	"sync"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// hold is where the changes of some slots wait, in order, in front of two lanes: the
// one that the slots leave and the one that they go to. It is in both, so that a
// change finds it by the old and by the new map.
//
// In a cluster all that senders hand to the first lane waits (holdall.go): what the lane
// has taken of each sender is a number, which must not pass over a change that waits.
type hold struct {
	// Set once.
	slots    *store.SlotSet
	from, to *lane
	all      bool // that comes from senders; in from alone

	mu      sync.Mutex // under lane.mu
	items   []heldItem
	bytes   int
	refused bool // by Refuse
}

// heldItem is a change that waits in a hold, and where it was submitted.
type heldItem struct {
	item
	at *lane
}

// add puts a change that was submitted to a lane behind the others, or returns Busy.
func (h *hold) add(it item, at *lane, cfg *Config) *chat.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refused {
		return undecided()
	}
	if full(len(h.items), h.bytes, it.size, cfg) {
		return busy()
	}
	h.items = append(h.items, heldItem{it, at})
	h.bytes += it.size
	return nil
}

// Hold has the changes of the slots wait, from now on, until Release. The lane from
// works on those that it has. As many may wait as in a lane; more are refused with
// Busy. There is one hold at a time: Hold waits for none, and panics if there is one.
func (ls *Lanes) Hold(slots *store.SlotSet, from, to int) {
	h := &hold{slots: slots, from: ls.lanes[from], to: ls.lanes[to]}
	h.all = ls.cfg.Cluster != nil
	if !ls.hold.CompareAndSwap(nil, h) {
		panic("lane: a hold is on already")
	}
	h.locked(func() {
		if h.from.hold = h; !h.all {
			h.to.hold = h
		}
	})
}

// Release ends the hold, if there is one. What waits goes on, in its order, to the
// lane that owns the slots by now.
func (ls *Lanes) Release() {
	h := ls.hold.Load()
	if h == nil {
		return
	}
	if h.all {
		ls.releaseAll(h)
		return
	}
	owner, released := h.from, false
	h.locked(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if released = h.from.hold == h && !h.refused; !released {
			return
		}
		if ls.ownsAll(h.to.shard, h.slots) {
			owner = h.to
		}
		h.from.hold, h.to.hold = nil, nil
		for _, it := range h.items {
			h.goOn(it, owner)
		}
		h.items = nil
	})
	if released {
		ls.hold.CompareAndSwap(h, nil)
		h.from.wake()
		h.to.wake()
	}
}

// goOn puts what has waited into the lane of the owner of the slots. What concerns
// every entry of a node goes to the lane to which it was submitted. If the slots have
// left that lane, their entries are in the other one by now: it does the same.
func (h *hold) goOn(it heldItem, owner *lane) {
	lanes := []*lane{owner}
	if online, ok := it.change.(*change.Online); ok && wholeNode(online.Changes) {
		if lanes[0] = it.at; it.at == h.from && owner == h.to {
			lanes = append(lanes, h.to)
			it.done = change.Joined(2, it.done)
		}
	}
	for _, l := range lanes {
		l.waiting = append(l.waiting, it.item)
		l.bytes += it.size
	}
}

// Refuse ends what waits in the hold, and what comes, with Unavailable: it is not known
// which lane owns the slots. Nothing of it was or will be done. That is final.
func (ls *Lanes) Refuse() {
	h := ls.hold.Load()
	if h == nil {
		return
	}
	if h.all {
		ls.refuseAll(h)
		return
	}
	h.mu.Lock()
	items := h.items
	h.items, h.bytes, h.refused = nil, 0, true
	h.mu.Unlock()
	for _, it := range items {
		it.done(change.Reply{}, undecided())
	}
}

func undecided() *chat.Error {
	return &chat.Error{Kind: chat.Unavailable, Op: "lane.submit", Text: "the room is changing its place, try again", RetryAfter: 1000}
}

// Held is how many changes wait in the hold.
func (ls *Lanes) Held() int {
	h := ls.hold.Load()
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.items)
}

func (ls *Lanes) ownsAll(shard int, slots *store.SlotSet) bool {
	for slot := range slots.All() {
		if ls.store.ShardOf(slot) != shard {
			return false
		}
	}
	return true
}

// locked runs f under the locks of both lanes, which are taken in the order of shards.
func (h *hold) locked(f func()) {
	first, second := h.from, h.to
	if first.shard > second.shard {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	f()
}

// slotsOf is the slots that a change concerns: one, those of some changes of who is
// online, or none.
type slotsOf struct {
	one    bool
	slot   chat.Slot
	online []change.OnlineChange
}

// place reports whether the slots belong to the lane, and whether they are held. Slots
// of which some are held and others are not are reported as not belonging to it.
// l.mu is held.
func (l *lane) place(it *item, slots slotsOf) (held, here bool) {
	if l.hold != nil && l.hold.all && it.origin.Sender != 0 {
		return true, true // its place is looked at when it is let go
	}
	if slots.one {
		held = l.hold != nil && !l.hold.all && l.hold.slots.Has(slots.slot)
		return held, held || l.takes(slots.slot, it.origin)
	}
	for i, c := range slots.online {
		now := l.hold.holds(c)
		if c.Room != "" && !now && !l.owns(c.Room.Slot()) || i > 0 && (now != held || l.hold != nil && !l.hold.all && wholeNode(slots.online)) {
			return false, false
		}
		held = now
	}
	return held, true
}

// holds reports whether a change of an online entry waits; nil holds none. One of all
// entries of a node does, as some of them may be in slots that are held.
func (h *hold) holds(c change.OnlineChange) bool {
	return h != nil && !h.all && (c.Room == "" || h.slots.Has(c.Room.Slot()))
}

// wholeNode reports whether a change is among these that removes all entries of a node.
func wholeNode(cs []change.OnlineChange) bool {
	return slices.ContainsFunc(cs, func(c change.OnlineChange) bool { return c.Room == "" })
}

func (l *lane) owns(slot chat.Slot) bool { return l.cfg.Store.ShardOf(slot) == l.shard }

// takes reports whether the lane owns the slot, and did when its sender looked.
func (l *lane) takes(slot chat.Slot, from change.Origin) bool {
	if from.Sender == 0 {
		return l.owns(slot)
	}
	return l.cfg.Store.Owns(l.shard, slot, from.Map)
}

// submitOnline submits a change of online entries that was made for a shard by a map
// that may be old by now. It is taken apart only if its entries do not belong together
// any more; one of all entries of a node is alone then.
func (ls *Lanes) submitOnline(shard int, c *change.Online, done change.Done) {
	if ls.lanes[shard].submit(item{change: c, done: done, size: c.Size()}, slotsOf{online: c.Changes}) == taken {
		return
	}
	type place struct {
		shard int
		held  bool
		whole int // 1 and up: one of all entries of a node
	}
	h := ls.hold.Load()
	var order []place
	parts := map[place]*change.Online{}
	for i, o := range c.Changes {
		p := place{shard: shard, whole: i + 1}
		if o.Room != "" {
			p = place{shard: ls.store.ShardOf(o.Room.Slot()), held: h.holds(o)}
		}
		if parts[p] == nil {
			parts[p] = &change.Online{At: c.At}
			order = append(order, p)
		}
		parts[p].Changes = append(parts[p].Changes, o)
	}
	each := change.Joined(len(parts), done)
	for _, p := range order {
		ls.submitOnline(p.shard, parts[p], each)
	}
}
