package hub

import (
	"hash/maphash"
	"sync"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

const shards = 64

// rooms finds the rooms by id in which there is a seat.
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

// ofLane returns the rooms of a lane.
func (rs *rooms) ofLane(id bus.Lane) []*room {
	var all []*room
	for i := range rs.shards {
		sh := &rs.shards[i]
		sh.mu.RLock()
		for _, r := range sh.byID {
			if r.lane == id {
				all = append(all, r)
			}
		}
		sh.mu.RUnlock()
	}
	return all
}

// hold returns the room, to whose lane the hub listens, and keeps it until
// release.
func (h *Hub) hold(id chat.RoomID) (*room, error) {
	lane := h.cfg.Lane(id)
	if err := h.listenTo(lane); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "hub.Open", err)
	}
	sh := h.rooms.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.byID[id]
	if r == nil {
		r = newRoom(h, id, lane)
		sh.byID[id] = r
		h.metrics.rooms.Inc()
	}
	r.refs++
	return r, nil
}

// release undoes hold.
func (h *Hub) release(r *room) {
	sh := h.rooms.shard(r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r.refs--; r.refs == 0 {
		delete(sh.byID, r.id)
		h.metrics.rooms.Dec()
	}
}
