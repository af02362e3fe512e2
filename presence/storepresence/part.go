package storepresence

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

// part is what waits for one shard, with a goroutine of its own (Record.run): a shard
// that does not answer holds up no other. It is guarded by Record.mu. A change is in one
// of the four; recent is newer than aged, and aged than returned and flushing. Each has one
// change of a user in a room at most.
type part struct {
	recent    changes // since the last flush
	aged      changes // between the last two flushes
	returned  changes // taken by an earlier flush, and perhaps not written: they are not undone, but written again
	flushing  changes // taken by the flush under way; its maps are not changed any more
	unwritten int     // changes in flushing that are not written yet
}

// add adds a change, or takes back the opposite one, and reports which.
func (p *part) add(c presence.Change) (cancelled bool) {
	if p.recent.cancel(c) || p.aged.cancel(c) {
		return true
	}
	if p.recent == nil {
		p.recent = changes{}
	}
	p.recent.add(c)
	return false
}

// take begins a flush of shard and returns its changes. Those of a room that another
// shard's flush has, since the room was moved, wait for the next: they are newer.
func (r *Record) take(shard int) []store.OnlineChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	p := r.parts[shard]
	due, later := p.aged.over(p.returned), changes(nil)
	for room, users := range due {
		if r.flushingElsewhere(room, p) {
			if later == nil {
				later = changes{}
			}
			later[room] = users
			delete(due, room)
		}
	}
	p.flushing, p.returned, p.aged, p.recent = due, nil, p.recent.over(later), nil
	p.unwritten = due.len()
	out := make([]store.OnlineChange, 0, p.unwritten)
	for room, users := range due {
		for user, on := range users {
			out = append(out, store.OnlineChange{Room: room, OnlineEntry: store.OnlineEntry{User: user, Node: r.cfg.Node}, On: on})
		}
	}
	return out
}

// giveBack ends a flush of shard. What has failed waits for the next flush of the shard that
// owns the room then. Nothing of these rooms was given back meanwhile: no other flush has them.
func (r *Record) giveBack(shard int, failed []store.OnlineChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts[shard].flushing, r.parts[shard].unwritten = nil, 0
	for _, c := range failed {
		p := r.parts[r.cfg.Store.ShardOf(c.Room.Slot())]
		if p.returned == nil {
			p.returned = changes{}
		}
		p.returned.add(presence.Change{Room: c.Room, User: c.User, On: c.On})
	}
}

// flushingElsewhere reports whether the flush of another part has changes of the room.
// Called with mu held.
func (r *Record) flushingElsewhere(room chat.RoomID, than *part) bool {
	for _, p := range r.parts {
		if _, has := p.flushing[room]; has && p != than {
			return true
		}
	}
	return false
}

// layers are what waits in a part.
var layers = []func(*part) *changes{
	func(p *part) *changes { return &p.returned },
	func(p *part) *changes { return &p.aged },
	func(p *part) *changes { return &p.recent },
}

// settle gives rooms that were moved to the part of the shard that owns them now. Called
// with mu held.
func (r *Record) settle() {
	version := r.cfg.Store.MapVersion()
	if version == r.version {
		return
	}
	r.version = version
	for shard, p := range r.parts {
		for _, of := range layers {
			for room, users := range *of(p) {
				if owner := r.cfg.Store.ShardOf(room.Slot()); owner != shard {
					to := of(r.parts[owner])
					*to = to.over(changes{room: users})
					delete(*of(p), room)
				}
			}
		}
	}
}
