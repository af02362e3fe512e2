package storetest

import (
	"cmp"
	"slices"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// world drives a driver the way a lane does, and remembers what should be in
// it. Its verbs change the memory and the batch; commit writes the batch.
type world struct {
	t  rapid.TB
	d  store.Driver
	at store.Position

	now   int64 // grows with each change
	rooms map[chat.RoomID]*room
	batch batch
}

// room is what should be stored of a room.
type room struct {
	chat.Room
	messages []chat.Message // by seq - 1; without reactions
	members  map[chat.UserID]chat.Member
	choices  map[store.ReactionKey]int64 // time of each reaction
}

// batch is what the next commit writes, each row once.
type batch struct {
	rooms     map[*room]bool
	members   map[store.MemberKey]bool
	inserted  []store.MessageRef
	updated   map[store.MessageRef]bool
	reactions map[store.ReactionKey]store.ReactionChange
	more      store.Changes // everything else
}

func newWorld(t rapid.TB, d store.Driver) *world {
	t.Helper()
	w := &world{t: t, d: d, at: get(d.Acquire(ctx, 0))(t), now: 1_700_000_000_000, rooms: map[chat.RoomID]*room{}}
	w.clear()
	return w
}

func (w *world) clear() {
	w.batch = batch{
		rooms:     map[*room]bool{},
		members:   map[store.MemberKey]bool{},
		updated:   map[store.MessageRef]bool{},
		reactions: map[store.ReactionKey]store.ReactionChange{},
	}
}

// room returns the room, making it first if there is none.
func (w *world) room(id chat.RoomID) *room {
	if r := w.rooms[id]; r != nil {
		return r
	}
	r := &room{
		Room:    chat.Room{ID: id, Title: "room " + string(id), Created: w.now},
		members: map[chat.UserID]chat.Member{},
		choices: map[store.ReactionKey]int64{},
	}
	w.rooms[id] = r
	r.InfoRev = w.bump(r)
	return r
}

func (w *world) bump(r *room) chat.Rev {
	w.now++
	r.Rev++
	w.batch.rooms[r] = true
	return r.Rev
}

func (w *world) post(id chat.RoomID, user chat.UserID, text, key string) chat.Seq {
	r := w.room(id)
	rev := w.bump(r)
	r.LastSeq++
	r.Active = w.now
	m := chat.Message{Room: id, Seq: r.LastSeq, Rev: rev, Created: rev, User: user, Name: "name of " + string(user),
		Text: text, Time: w.now, Key: key}
	if user != "ann" {
		m.Mentions = []chat.UserID{"ann", "bob of " + chat.UserID(id)}[:1+m.Seq%2]
	}
	if key != "" {
		m.Digest = (&chat.Draft{Text: text}).Digest()
	}
	r.messages = append(r.messages, m)
	w.batch.inserted = append(w.batch.inserted, store.MessageRef{Room: id, Seq: m.Seq})
	return m.Seq
}

// change bumps the rev of a message and returns it to be written over.
func (w *world) change(id chat.RoomID, seq chat.Seq) *chat.Message {
	r := w.room(id)
	m := &r.messages[seq-1]
	m.Rev = w.bump(r)
	if ref := (store.MessageRef{Room: id, Seq: seq}); !slices.Contains(w.batch.inserted, ref) {
		w.batch.updated[ref] = true
	}
	return m
}

func (w *world) edit(id chat.RoomID, seq chat.Seq, text string) {
	m := w.change(id, seq)
	m.Text, m.Edited = text, w.now
}

func (w *world) remove(id chat.RoomID, seq chat.Seq) {
	m := w.change(id, seq)
	m.Text, m.Data, m.Mentions, m.Deleted = "", nil, nil, true
}

func (w *world) react(id chat.RoomID, seq chat.Seq, user chat.UserID, emoji string, on bool) {
	w.change(id, seq)
	k := store.ReactionKey{Room: id, Seq: seq, Emoji: emoji, User: user}
	w.batch.reactions[k] = store.ReactionChange{ReactionKey: k, On: on, Time: w.now}
	if on {
		w.room(id).choices[k] = w.now
	} else {
		delete(w.room(id).choices, k)
	}
}

func (w *world) member(id chat.RoomID, user chat.UserID, role chat.Role) {
	r := w.room(id)
	m := chat.Member{Room: id, User: user, Name: "name of " + string(user), Avatar: "/" + string(user), Role: role,
		Rev: w.bump(r), Since: w.now}
	if role.Ends() {
		m.Until, m.Data = w.now+1000, `{"of":"`+string(id)+`"}`
	}
	if r.members[user].Role.Present() {
		r.Members--
	}
	if role.Present() {
		r.Members++
	}
	r.members[user] = m
	w.batch.members[store.MemberKey{Room: id, User: user}] = true
}

func (w *world) rename(id chat.RoomID, title string) {
	r := w.room(id)
	r.Title, r.Open, r.ReadOnly, r.Archived = title, !r.Open, !r.ReadOnly, !r.Archived
	r.Topic, r.Avatar, r.Data = "topic of "+title, "/"+title, `{"a":1}`
	r.InfoRev = w.bump(r)
}

// changes returns the batch as a lane hands it over.
func (w *world) changes() *store.Changes {
	ch := w.batch.more
	for r := range w.batch.rooms {
		ch.Rooms = append(ch.Rooms, r.Room)
	}
	for k := range w.batch.members {
		ch.Members = append(ch.Members, w.rooms[k.Room].members[k.User])
	}
	for _, ref := range w.batch.inserted {
		ch.Insert = append(ch.Insert, w.rooms[ref.Room].messages[ref.Seq-1])
	}
	for ref := range w.batch.updated {
		ch.Update = append(ch.Update, w.rooms[ref.Room].messages[ref.Seq-1])
	}
	for _, c := range w.batch.reactions {
		ch.Reactions = append(ch.Reactions, c)
	}
	return &ch
}

// commit writes the batch.
func (w *world) commit() {
	w.t.Helper()
	must(w.t, w.d.Commit(ctx, 0, w.at, w.changes()))
	w.at = w.at.Next()
	w.clear()
}

// write commits rows that the world does not keep in mind.
func (w *world) write(ch store.Changes) {
	w.t.Helper()
	must(w.t, w.d.Commit(ctx, 0, w.at, &ch))
	w.at = w.at.Next()
}

// message is what a read of the message should return.
func (w *world) message(id chat.RoomID, seq chat.Seq) chat.Message {
	r := w.rooms[id]
	m := r.messages[seq-1]
	if !m.Deleted {
		m.Reactions = r.reactions(seq)
	}
	return m
}

// messages are those from..to as a read should return them.
func (w *world) messages(id chat.RoomID, from, to chat.Seq) []chat.Message {
	var ms []chat.Message
	for seq := from; seq <= to; seq++ {
		ms = append(ms, w.message(id, seq))
	}
	return ms
}

// reactions lists the choices under a message in order of choosing.
func (r *room) reactions(seq chat.Seq) []chat.Reaction {
	var keys []store.ReactionKey
	for k := range r.choices {
		if k.Seq == seq {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b store.ReactionKey) int { return cmp.Compare(r.choices[a], r.choices[b]) })
	var list []chat.Reaction
	for _, k := range keys {
		i := slices.IndexFunc(list, func(x chat.Reaction) bool { return x.Emoji == k.Emoji })
		if i < 0 {
			list = append(list, chat.Reaction{Emoji: k.Emoji})
			i = len(list) - 1
		}
		list[i].Count++
		if len(list[i].Users) < chat.ReactionUsers {
			list[i].Users = append(list[i].Users, k.User)
		}
	}
	return list
}

// sorted are the member rows for which keep says so, by user id.
func (r *room) sorted(keep func(chat.Member) bool) []chat.Member {
	var ms []chat.Member
	for _, m := range r.members {
		if keep(m) {
			ms = append(ms, m)
		}
	}
	slices.SortFunc(ms, func(a, b chat.Member) int { return cmp.Compare(a.User, b.User) })
	return ms
}

// verify reads everything of every room and compares.
func (w *world) verify() {
	w.t.Helper()
	for id, r := range w.rooms {
		same(w.t, "room", get(w.d.Room(ctx, id))(w.t), r.Room)
		ms, more, err := w.d.Messages(ctx, id, store.Page{Limit: len(r.messages) + 1})
		must(w.t, err)
		same(w.t, "messages", ms, w.messages(id, 1, r.LastSeq))
		same(w.t, "more messages", more, false)
		for user, m := range r.members {
			same(w.t, "member", get(w.d.Member(ctx, id, user))(w.t), m)
		}
		same(w.t, "members", get(w.d.Members(ctx, id, chat.RoleNone, "", len(r.members)+1))(w.t),
			r.sorted(func(m chat.Member) bool { return m.Role.Present() }))
	}
	same(w.t, "faults", get(w.d.Check(ctx, nil))(w.t), nil)
}
