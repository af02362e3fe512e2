package hub

import (
	"hash/maphash"
	"sync"

	"github.com/roomtide/roomtide/chat"
)

const shards = 64

// rooms finds rooms by id and keeps the node's subscriptions: a room is
// subscribed from before its first seat is taken until after its last is left.
type rooms struct {
	seed   maphash.Seed // set once
	shards [shards]roomShard
}

type roomShard struct {
	mu   sync.RWMutex
	byID map[chat.RoomID]*room
}

func (rs *rooms) init() {
	rs.seed = maphash.MakeSeed()
	for i := range rs.shards {
		rs.shards[i].byID = map[chat.RoomID]*room{}
	}
}

func (rs *rooms) shard(id chat.RoomID) *roomShard {
	return &rs.shards[maphash.String(rs.seed, string(id))%shards]
}

// get returns the room if somebody here has a seat in it.
func (rs *rooms) get(id chat.RoomID) *room {
	sh := rs.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byID[id]
}

// hold returns the room, subscribed, and keeps it until release. For one room
// Subscribe and Unsubscribe never overlap: whoever comes while the last one's
// Unsubscribe is on its way waits for it, and then begins anew.
func (h *Hub) hold(id chat.RoomID) (*room, error) {
	sh := h.rooms.shard(id)
	for {
		sh.mu.Lock()
		r, there := sh.byID[id]
		switch {
		case !there:
			r = newRoom(h, id)
			r.refs = 1
			sh.byID[id] = r
			sh.mu.Unlock()
			h.metrics.rooms.Inc()
			r.subErr = h.cfg.Bus.Subscribe(id)
			r.live.Store(r.subErr == nil)
			close(r.ready)
		case r.refs == 0:
			sh.mu.Unlock()
			<-r.gone
			continue
		default:
			r.refs++
			sh.mu.Unlock()
			<-r.ready
		}
		if err := r.subErr; err != nil {
			h.release(r)
			return nil, chat.Wrap(chat.Unavailable, "hub.Open", err)
		}
		return r, nil
	}
}

// release undoes hold.
func (h *Hub) release(r *room) {
	sh := h.rooms.shard(r.id)
	sh.mu.Lock()
	r.refs--
	last := r.refs == 0
	sh.mu.Unlock()
	if !last {
		return
	}
	r.live.Store(false)
	if r.subErr == nil {
		if err := h.cfg.Bus.Unsubscribe(r.id); err != nil && chat.KindOf(err) != chat.Unavailable {
			h.log.Warn("hub: unsubscribe", "room", r.id, "err", err)
		}
	}
	sh.mu.Lock()
	delete(sh.byID, r.id)
	sh.mu.Unlock()
	close(r.gone)
	h.metrics.rooms.Dec()
}
