package hub

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// lanes are the lanes that the hub listens to: every lane of which it had a room
// once. There are as many as stripes, so they are kept until Close.
type lanes struct {
	mu   sync.RWMutex
	byID map[bus.Lane]*lane
}

// lane is what the hub knows of a lane.
type lane struct {
	// Set once.
	id  bus.Lane
	ask chan struct{} // holds one token while the bus is asked

	// Safe for any goroutine.
	live atomic.Bool // subscribed

	mu       sync.Mutex
	position int64 // of the newest batch; unknownPosition before the first
}

const unknownPosition int64 = -1

func (ls *lanes) init() { ls.byID = map[bus.Lane]*lane{} }

// get returns the lane, nil if the hub does not know it.
func (ls *lanes) get(id bus.Lane) *lane {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.byID[id]
}

// add returns the lane, which it makes if the hub does not know it.
func (ls *lanes) add(id bus.Lane) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.byID[id]
	if l == nil {
		l = &lane{id: id, ask: make(chan struct{}, 1), position: unknownPosition}
		ls.byID[id] = l
	}
	return l
}

// listenTo subscribes to the lane unless the hub has done so. When it returns
// without an error, batches that are published from now on are delivered.
func (h *Hub) listenTo(id bus.Lane) error {
	l := h.lanes.get(id)
	if l == nil {
		l = h.lanes.add(id)
	}
	if l.live.Load() {
		return nil
	}
	l.ask <- struct{}{}
	defer func() { <-l.ask }()
	if l.live.Load() {
		return nil
	}
	if err := h.cfg.Bus.Subscribe(id); err != nil {
		return err
	}
	l.live.Store(true)
	return nil
}

// Listen has the hub listen to a lane to which rooms are about to change.
func (h *Hub) Listen(lane bus.Lane) error { return h.listenTo(lane) }

// Reroute looks at the lane of every room again (Config.Lane). It is called when rooms
// have changed to another lane: the last batches about them have come from the old lane,
// and the new one publishes the first behind this call. So no subscription has a gap, unless
// a connection comes into its room between the change and this call (see hold).
func (h *Hub) Reroute() error {
	for _, r := range h.rooms.all() {
		if _, err := h.reroute(r); err != nil {
			return err
		}
	}
	return nil
}

// RerouteLate is Reroute when rooms have changed on another node, some time ago: what their
// new lanes have published since may not have come here. Their clients resume from the
// store. After an error the lanes of some rooms are still the old ones; it may be called
// again.
func (h *Hub) RerouteLate() error {
	defer h.Kick()
	for _, r := range h.rooms.all() {
		if _, err := h.rerouteLate(r); err != nil {
			return err
		}
	}
	return nil
}

// rerouteLate is reroute of a room that may have changed some time ago: it loses its logs
// then, and the caller kicks.
func (h *Hub) rerouteLate(r *room) (moved bool, err error) {
	moved, err = h.reroute(r)
	if moved {
		r.mu.Lock()
		r.lose(unknownRev, chat.GapLost)
		r.mu.Unlock()
		r.markDirty()
	}
	return moved, err
}

// reroute moves the room to the lane that it has now, and reports whether that is another
// one. Several goroutines may do so at once.
func (h *Hub) reroute(r *room) (moved bool, err error) {
	for {
		now := h.cfg.Lane(r.id)
		if bus.Lane(r.lane.Load()) == now {
			return moved, nil
		}
		if err := h.listenTo(now); err != nil {
			return moved, err
		}
		r.lane.Store(int64(now))
		moved = true
	}
}

// leaveLanes ends all subscriptions.
func (h *Hub) leaveLanes() {
	h.lanes.mu.RLock()
	all := slices.Collect(maps.Values(h.lanes.byID))
	h.lanes.mu.RUnlock()
	for _, l := range all {
		if !l.live.Load() {
			continue
		}
		if err := h.cfg.Bus.Unsubscribe(l.id); err != nil && chat.KindOf(err) != chat.Unavailable {
			h.log.Warn("hub: unsubscribe", "lane", l.id, "err", err)
		}
	}
}

// advance moves the lane to the end of a batch and reports whether there is a
// hole before it. The first batch tells where the lane stands; until then the
// revs of the rooms alone show a loss.
func (l *lane) advance(b *bus.Batch) (hole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hole = l.position != unknownPosition && l.position != b.After
	l.position = b.Position
	return hole
}

// loseLane gives up the logs of all rooms of a lane, of which batches were lost:
// it is not known in which rooms something happened. A connection that
// subscribes meanwhile misses nothing, since its client asks the store after that.
func (h *Hub) loseLane(id bus.Lane) {
	h.metrics.holes.Inc()
	h.log.Warn("hub: batches of a lane were lost; its clients resume from the store", "lane", id)
	for _, r := range h.rooms.ofLane(id) {
		r.mu.Lock()
		r.lose(unknownRev, chat.GapLost)
		r.mu.Unlock()
		r.markDirty()
	}
}
