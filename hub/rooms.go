package hub

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

const stripes = 64

// rooms finds the rooms by id that connections have subscribed to.
type rooms struct {
	seed    maphash.Seed // set once
	stripes [stripes]roomStripe
}

type roomStripe struct {
	mu   sync.RWMutex
	byID map[chat.RoomID]*room
}

func (rs *rooms) init() {
	rs.seed = maphash.MakeSeed()
	for i := range rs.stripes {
		rs.stripes[i].byID = map[chat.RoomID]*room{}
	}
}

func (rs *rooms) stripe(id chat.RoomID) *roomStripe {
	return &rs.stripes[maphash.String(rs.seed, string(id))%stripes]
}

// get returns the room, nil if no connection has subscribed to it.
func (rs *rooms) get(id chat.RoomID) *room {
	st := rs.stripe(id)
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.byID[id]
}

// ofLane returns the rooms of a lane.
func (rs *rooms) ofLane(id bus.Lane) []*room {
	return slices.DeleteFunc(rs.all(), func(r *room) bool { return bus.Lane(r.lane.Load()) != id })
}

// all returns the rooms.
func (rs *rooms) all() []*room {
	var all []*room
	for i := range rs.stripes {
		st := &rs.stripes[i]
		st.mu.RLock()
		for _, r := range st.byID {
			all = append(all, r)
		}
		st.mu.RUnlock()
	}
	return all
}

// hold returns the room, to whose lane the hub listens, and keeps it until
// release.
func (h *Hub) hold(id chat.RoomID) (*room, error) {
	lane := h.cfg.Lane(id)
	if err := h.listenTo(lane); err != nil {
		return nil, chat.Wrap(chat.Unavailable, "hub.Subscribe", err)
	}
	r := h.add(id, lane)
	// The lane may be another one by now. Connections that were in the room have then missed
	// what the new lane published before.
	moved, err := h.rerouteLate(r)
	if moved {
		h.Kick()
	}
	if err != nil {
		h.release(r)
		return nil, chat.Wrap(chat.Unavailable, "hub.Subscribe", err)
	}
	return r, nil
}

// add returns the room, which it makes if there is none, and counts a reference.
func (h *Hub) add(id chat.RoomID, lane bus.Lane) *room {
	st := h.rooms.stripe(id)
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.byID[id]
	if r == nil {
		r = newRoom(h, id, lane)
		st.byID[id] = r
		h.metrics.rooms.Inc()
	}
	r.refs++
	return r
}

// release undoes hold.
func (h *Hub) release(r *room) {
	st := h.rooms.stripe(r.id)
	st.mu.Lock()
	defer st.mu.Unlock()
	if r.refs--; r.refs == 0 {
		delete(st.byID, r.id)
		h.metrics.rooms.Dec()
	}
}
