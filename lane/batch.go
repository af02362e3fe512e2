package lane

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/store"
)

// room is a room as the batch sees it: after the changes decided so far.
type room struct {
	chat.Room
	exists bool     // and is not deleted
	from   chat.Rev // Rev before the batch
	listed bool     // in batch.touched
	events []*chat.Event
	past   bool            // messages of the past were put in, which have no events
	told   store.RoomSpan  // what each rev of the batch is
	span   *store.RoomSpan // of the outbox entry, set by batch.entry
}

// batch is the working copy of everything that the changes of one commit read and
// write. Each change sees what the changes before it have done. Pointers into it
// are replaced, never written through, once an event holds them.
type batch struct {
	now    int64 // Unix milliseconds
	size   int   // how many changes there are
	limits *chat.Limits
	base   chat.Rev // store.Map.Base
	cache  *cache
	want   store.Need
	state  *store.State

	pushOff bool // Config.PushOff

	rooms    map[chat.RoomID]*room
	members  map[store.MemberKey]*chat.Member // nil: no such row
	changedM []store.MemberKey                // rows of members to write
	rolesM   []chat.Role                      // of these, before the batch
	messages map[store.MessageRef]*chat.Message
	inserted []store.MessageRef
	updated  []store.MessageRef
	keys     map[store.MessageKey]chat.Seq

	askKeys    bool // messages with the keys of new ones are loaded
	keyMatters bool // a message was refused that has a key: if it is stored, it was a repeat

	touched   []*room // rooms to write, in order of first change
	reactions map[store.ReactionKey]store.ReactionChange
	emoji     map[store.MessageRef]map[string]int // how many chose each, of messages that are reacted to
	unreact   []store.MessageRef                  // deleted messages, which lose their reactions
	userRooms map[store.UserRoomKey]*store.UserRoom
	access    map[chat.UserID]chat.Access
	online    []store.OnlineChange
	cursors   []store.Cursor
	removals  map[chat.RoomID]*store.Removal

	users   map[chat.UserID]*chat.User // to write
	renamed []chat.UserID              // users whose name or avatar has changed

	devices  overlay[chat.Device]
	settings overlay[chat.PushSettings]
	jobs     overlay[store.PushJob]
	owners   overlay[store.PushOwner]
	pushes   pushCounts
	onward   [][]byte // changes that follow (change.Append)
	nodes    overlay[store.UserNodes]
	facts    []store.UserFact // in order

	moving *store.SlotSet // slots whose written rows are named in the outbox; nil: none
	drop   []store.RowKey // rows that move
	put    *store.Rows
	flips  []store.Flip
}

func newBatch(now int64, size int, base chat.Rev, c *cache, l *chat.Limits) *batch {
	return &batch{
		now:     now,
		size:    size,
		limits:  l,
		base:    base,
		cache:   c,
		state:   &store.State{},
		rooms:   make(map[chat.RoomID]*room, size),
		members: make(map[store.MemberKey]*chat.Member, size),
	}
}

// What changes depend on is named before anything is loaded.

func (b *batch) needRoom(id chat.RoomID) {
	if _, ok := b.rooms[id]; ok {
		return
	}
	if r, ok := b.cache.rooms.Get(id); ok {
		b.rooms[id] = &room{Room: r, exists: !r.Deleted, from: r.Rev}
		return
	}
	b.rooms[id] = nil // wanted
	b.want.Rooms = append(b.want.Rooms, id)
}

func (b *batch) needMember(id chat.RoomID, user chat.UserID) {
	k := store.MemberKey{Room: id, User: user}
	if _, ok := b.members[k]; ok {
		return
	}
	if m, ok := b.cache.member(k); ok {
		b.members[k] = &m
		return
	}
	b.members[k] = nil
	b.want.Members = append(b.want.Members, k)
}

func (b *batch) needKey(id chat.RoomID, user chat.UserID, key string) {
	b.want.Keys = append(b.want.Keys, store.MessageKey{Room: id, User: user, Key: key})
}

func (b *batch) needMessage(id chat.RoomID, seq chat.Seq) {
	b.want.Messages = append(b.want.Messages, store.MessageRef{Room: id, Seq: seq})
}

// load reads what the changes need and the cache did not have.
func (b *batch) load(ctx context.Context, db store.Writer) error {
	if !b.want.Empty() {
		st, err := db.Load(ctx, &b.want)
		if err != nil {
			return err
		}
		b.state = st
	}
	for _, id := range b.want.Rooms {
		r, ok := b.state.Rooms[id]
		if !ok {
			r.Rev, r.Floor = b.base, b.base
		}
		b.rooms[id] = &room{Room: r, exists: ok && !r.Deleted, from: r.Rev}
		if ok {
			b.cache.rooms.Put(id, r)
		}
		b.rooms[id].ID = id
	}
	for _, k := range b.want.Members {
		if m, ok := b.state.Members[k]; ok {
			b.members[k] = &m
			b.cache.putMember(k, &m)
		}
	}
	return nil
}

// room returns the room or NotFound.
func (b *batch) room(id chat.RoomID) (*room, error) {
	r := b.rooms[id]
	if r == nil || !r.exists {
		return nil, chat.E(chat.NotFound, "there is no such room")
	}
	return r, nil
}

// roomBy returns the room and the role of the user who changes something in it, or
// NotMember: a room that does not exist and one that the user is not in look the
// same. The host's back end (server) needs no role, and gets NotFound for a room that
// does not exist.
func (b *batch) roomBy(id chat.RoomID, user chat.UserID, server bool) (*room, chat.Role, error) {
	role := b.member(id, user).Role
	if !server {
		if err := chat.CanRead(role); err != nil {
			return nil, 0, err
		}
	}
	r, err := b.room(id)
	return r, role, err
}

// touch lists the room among those to write.
func (b *batch) touch(r *room) {
	if !r.listed {
		r.listed = true
		r.told = store.RoomSpan{Room: r.ID, From: r.from + 1, To: r.from}
		b.touched = append(b.touched, r)
	}
}

// bump numbers a durable change of the room and lists its event.
func (b *batch) bump(r *room, ev *chat.Event) chat.Rev {
	b.touch(r)
	r.Rev++
	ev.Room, ev.Rev = r.ID, r.Rev
	r.events = append(r.events, ev)
	kind, seq := ev.Kind, ev.Seq
	switch {
	case ev.Message != nil:
		seq = ev.Message.Seq
	case kind == chat.EventMembers:
		kind = chat.EventMember // told together, changed one by one
	}
	r.told.Add(kind, seq)
	return r.Rev
}

// bumpPast is bump for a change of the past, which has no event: seq is the message that
// it concerns, 0 if none.
func (b *batch) bumpPast(r *room, kind chat.EventKind, seq chat.Seq) chat.Rev {
	b.touch(r)
	r.Rev++
	r.past = true
	r.told.AddHistory(kind, seq)
	return r.Rev
}

// member returns the user's row as it is to be read now, a zero one with RoleNone if
// there is none. A room that is deleted has no members, whether their rows are removed
// yet or not; nor has what the cache still has of one.
func (b *batch) member(id chat.RoomID, user chat.UserID) chat.Member {
	m, r := b.members[store.MemberKey{Room: id, User: user}], b.rooms[id]
	if m == nil || r != nil && (r.Deleted || m.Rev <= r.Floor) {
		return chat.Member{Room: id, User: user}
	}
	return m.At(b.now)
}

func (b *batch) setMember(m chat.Member) {
	k := store.MemberKey{Room: m.Room, User: m.User}
	if old := b.members[k]; old == nil || old.Rev <= b.rooms[m.Room].from {
		b.changedM = append(b.changedM, k)
		b.rolesM = append(b.rolesM, b.member(m.Room, m.User).Role)
	}
	b.members[k] = &m
}

// message returns a message as it is now, or NotFound.
func (b *batch) message(id chat.RoomID, seq chat.Seq) (*chat.Message, error) {
	ref := store.MessageRef{Room: id, Seq: seq}
	if m := b.messages[ref]; m != nil {
		return m, nil
	}
	if m, ok := b.state.Messages[ref]; ok {
		return &m, nil
	}
	return nil, chat.E(chat.NotFound, "there is no such message")
}

// byKey returns the message that was sent with the key.
func (b *batch) byKey(k store.MessageKey) (*chat.Message, bool) {
	seq, ok := b.keys[k]
	if !ok {
		seq, ok = b.state.Keys[k]
	}
	if !ok {
		return nil, false
	}
	m, err := b.message(k.Room, seq)
	return m, err == nil
}

func (b *batch) insert(m *chat.Message) {
	ref := store.MessageRef{Room: m.Room, Seq: m.Seq}
	b.remember(ref, m)
	b.inserted = append(b.inserted, ref)
	if m.Key != "" {
		if b.keys == nil {
			b.keys = map[store.MessageKey]chat.Seq{}
		}
		b.keys[store.MessageKey{Room: m.Room, User: m.User, Key: m.Key}] = m.Seq
	}
}

// update replaces a message. m is a changed copy of what message returned.
func (b *batch) update(m *chat.Message) {
	ref := store.MessageRef{Room: m.Room, Seq: m.Seq}
	if _, known := b.messages[ref]; !known {
		b.updated = append(b.updated, ref)
	}
	b.remember(ref, m)
}

func (b *batch) remember(ref store.MessageRef, m *chat.Message) {
	if b.messages == nil {
		b.messages = make(map[store.MessageRef]*chat.Message, b.size)
	}
	b.messages[ref] = m
}

// changes returns what to commit, nil if nothing changed, and brings the cache
// up to date (a failed commit forgets it).
func (b *batch) changes() *store.Changes {
	ch := &store.Changes{
		Online: b.online, Cursors: b.cursors, Unreact: b.unreact, Drop: b.drop, Put: b.put,
		Rooms: make([]chat.Room, 0, len(b.touched)), Insert: make([]chat.Message, 0, len(b.inserted)),
	}
	for _, r := range b.touched {
		ch.Rooms = append(ch.Rooms, r.Room)
		b.cache.rooms.Put(r.ID, r.Room)
	}
	for _, k := range b.changedM {
		m := *b.members[k]
		ch.Members = append(ch.Members, m)
		if !planted.KickCached {
			b.cache.putMember(k, &m)
		}
	}
	for _, ref := range b.inserted {
		ch.Insert = append(ch.Insert, *b.messages[ref])
	}
	for _, ref := range b.updated {
		ch.Update = append(ch.Update, *b.messages[ref])
	}
	for _, r := range b.reactions {
		ch.Reactions = append(ch.Reactions, r)
	}
	for _, r := range b.removals {
		ch.Removals = append(ch.Removals, r)
	}
	for _, u := range b.userRooms {
		ch.UserRooms = append(ch.UserRooms, *u)
	}
	for _, u := range b.users {
		ch.Users = append(ch.Users, *u)
	}
	for _, a := range b.access {
		ch.Access = append(ch.Access, a)
	}
	b.devices.write(&ch.Devices, &ch.Delete)
	b.settings.write(&ch.PushSettings, &ch.Delete)
	b.jobs.write(&ch.PushJobs, &ch.Delete)
	b.owners.write(&ch.PushOwners, &ch.Delete)
	b.nodes.write(&ch.UserNodes, &ch.Delete)
	pushes := len(ch.Devices) + len(ch.PushSettings) + len(ch.PushJobs) + len(ch.PushOwners) + len(ch.UserNodes) + len(ch.Delete) + len(b.onward)
	if pushes+len(ch.Rooms)+len(ch.UserRooms)+len(ch.Users)+len(ch.Access)+len(ch.Online)+len(ch.Cursors)+len(ch.Drop)+len(b.flips) == 0 && ch.Put == nil {
		return nil
	}
	if e := b.entry(writtenKeys(ch, b.moving)); e != nil {
		ch.Outbox = e.Encode()
	}
	return ch
}
