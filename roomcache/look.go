package roomcache

import (
	"context"
	"slices"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Look answers one question about a room. Its methods are those of store.Reader with the same
// names, for the room. What they return is the caller's.
type Look struct {
	// Set once.
	lane    *lane
	db      *store.Reader
	id      chat.RoomID
	version int64 // of the slot map

	kept *entry   // what the room is read from, as long as it is kept; nil: the database
	seen chat.Rev // the newest of the messages that were returned
}

// Room returns the room. What other methods return behind it is as of its rev or newer.
func (k *Look) Room(ctx context.Context) (chat.Room, error) {
	var room chat.Room
	if k.read(partRoom, func(e *entry) bool { room = e.room; return true }) {
		return room, nil
	}
	e := k.lane.begin(k.id, k.version)
	room, err := k.db.Room(ctx, k.id)
	switch {
	case e == nil:
	case err != nil:
		k.lane.forget(e)
	case k.lane.keep(e, &room):
		k.kept = e
	}
	return room, err
}

// Member returns a user's row, also if they left or are banned. NotFound. Behind Newest it is
// as of the messages' revs or newer: a membership that had ended before one of them was posted
// has ended.
func (k *Look) Member(ctx context.Context, user chat.UserID) (m chat.Member, err error) {
	if k.read(partMember, func(e *entry) (has bool) {
		m, has = e.members[user]
		return has && e.room.Rev >= k.seen // messages that came from the database may be newer
	}) {
		return m, nil
	}
	at := k.rev()
	m, err = k.db.Member(ctx, k.id, user)
	if err == nil && m.Role.Present() {
		k.write(at, func(e *entry) { e.setMember(&m) })
	}
	return m, err
}

// Members returns up to limit members that are present, in ascending user id.
func (k *Look) Members(ctx context.Context, limit int) (ms []chat.Member, err error) {
	if k.read(partMembers, func(e *entry) bool {
		f := e.first
		if f == nil || len(f.list) < limit && !f.whole {
			return false
		}
		ms = slices.Clone(f.list[:min(limit, len(f.list))])
		return true
	}) {
		return ms, nil
	}
	at := k.rev()
	ms, err = k.db.Members(ctx, k.id, chat.RoleNone, "", limit)
	if err == nil {
		f := &firstMembers{list: slices.Clone(ms), whole: len(ms) < limit}
		for i := range ms {
			f.bytes += ms[i].Size() + memberBytes
		}
		k.write(at, func(e *entry) { e.setFirst(f) })
	}
	return ms, err
}

// Newest returns the last messages of the room, as store.RoomReader.Messages with a page of
// which only Limit and Bytes are set.
func (k *Look) Newest(ctx context.Context, limit, bytes int) (ms []chat.Message, more bool, err error) {
	defer func() {
		for i := range ms {
			k.seen = max(k.seen, ms[i].Rev)
		}
	}()
	if bytes >= pageBytes && k.read(partMessages, func(e *entry) bool {
		n := e.newest
		if n == nil || len(n.list) < limit && n.more {
			return false
		}
		cut := max(0, len(n.list)-limit)
		ms, more = slices.Clone(n.list[cut:]), n.more || cut > 0
		return true
	}) {
		return ms, more, nil
	}
	at := k.rev()
	ms, more, err = k.db.Messages(ctx, k.id, store.Page{Limit: limit, Bytes: bytes})
	if err == nil {
		n := &newest{list: slices.Clone(ms), more: more}
		for i := range ms {
			n.bytes += ms[i].Size()
		}
		k.write(at, func(e *entry) { e.setNewest(n) })
	}
	return ms, more, err
}

// read answers a part of the question from what is kept, if it has that.
func (k *Look) read(p part, from func(*entry) bool) bool {
	k.lane.mu.Lock()
	has := k.kept != nil && !k.kept.gone && from(k.kept)
	k.lane.mu.Unlock()
	k.lane.metrics.read(p, has)
	return has
}

// rev returns the rev that write is given with what is read from the database after this
// call; 0 if nothing is kept.
func (k *Look) rev() chat.Rev {
	k.lane.mu.Lock()
	defer k.lane.mu.Unlock()
	if k.kept == nil || k.kept.gone {
		return 0
	}
	return k.kept.room.Rev
}

// write keeps what was read after rev, if the room has not changed meanwhile.
func (k *Look) write(at chat.Rev, set func(*entry)) {
	k.lane.mu.Lock()
	defer k.lane.mu.Unlock()
	if e := k.kept; at != 0 && e != nil && !e.gone && e.room.Rev == at {
		k.lane.change(e, func() { set(e) })
		k.lane.evict()
	}
}
