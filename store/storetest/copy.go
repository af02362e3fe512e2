package storetest

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// source is a world whose slots are copied while it changes: it notes the keys of
// what it has written.
type source struct {
	*world
	id     chat.RoomID
	floor  chat.Rev // of the room's earlier histories
	keys   []store.RowKey
	online map[store.OnlineEntry]bool
}

// checkCopyModel copies slots page by page while rows are written, follows the
// keys of what was written, and looks for a difference in the end. A room is
// deleted meanwhile, row by row, and comes again with the numbers and keys that it
// had.
func checkCopyModel(t *rapid.T, from, to store.Driver, run int) {
	s := &source{world: newWorld(t, from), id: chat.RoomID(fmt.Sprint("moving ", run)), online: map[store.OnlineEntry]bool{}}
	target := newWorld(t, to)
	slots := []chat.Slot{s.id.Slot(), s.user(0).Slot(), s.user(1).Slot()} // a slot may be copied twice
	var at store.RowKey                                                   // in the first of slots
	page := func() {
		rows, next, err := from.SlotRows(ctx, slots[0], at, rapid.IntRange(1, 12).Draw(t, "rows"), rapid.SampledFrom([]int{0, 1, 700}).Draw(t, "bytes"))
		must(t, err)
		target.write(store.Changes{Put: rows})
		if at = next; next == (store.RowKey{}) {
			slots = slots[1:]
		}
	}
	for range rapid.IntRange(0, 25).Draw(t, "steps") {
		switch what := rapid.SampledFrom([]string{"write", "write", "copy", "follow"}).Draw(t, "step"); {
		case what == "write":
			for range rapid.IntRange(1, 6).Draw(t, "changes") {
				s.change(t)
			}
			s.save()
		case what == "follow":
			s.follow(t, target)
		case len(slots) > 0:
			page()
		}
	}
	for len(slots) > 0 {
		page()
	}
	for len(s.keys) > 0 {
		s.follow(t, target)
	}
	s.compare(to)
}

// compare looks at what is of this run alone: one that ended in the middle has left
// a copy that is not whole.
func (s *source) compare(to store.Driver) {
	s.t.Helper()
	var all, copied store.Rows
	for _, id := range []string{string(s.id), string(s.user(0)), string(s.user(1))} {
		mine := func(k store.RowKey) bool { return k.ID == id }
		all.Add(pick(slotOf(s.t, s.d, chat.RoomID(id).Slot(), store.RowKey{}, 1000, 0), mine))
		copied.Add(pick(slotOf(s.t, to, chat.RoomID(id).Slot(), store.RowKey{}, 1000, 0), mine))
	}
	same(s.t, "rows", copied, all)
	alike(s.t, &all, s.d, to)
	for _, d := range []store.Driver{s.d, to} {
		faults := slices.DeleteFunc(get(d.Check(ctx, nil))(s.t), func(line string) bool {
			return !strings.Contains(line, fmt.Sprintf("%q", s.id))
		})
		same(s.t, "faults", faults, nil)
	}
}

func (s *source) user(i int) chat.UserID { return chat.UserID(fmt.Sprint(i, " in ", s.id)) }

// save commits the batch and notes what it has written.
func (s *source) save() {
	s.t.Helper()
	ch := s.changes()
	rows := store.Rows{Rooms: ch.Rooms, Members: ch.Members, Messages: append(ch.Insert, ch.Update...), Reactions: ch.Reactions,
		Online: ch.Online, UserRooms: ch.UserRooms, Users: ch.Users, Access: ch.Access,
		Devices: ch.Devices, PushSettings: ch.PushSettings, PushJobs: ch.PushJobs, PushOwners: ch.PushOwners, UserNodes: ch.UserNodes}
	s.keys = append(append(s.keys, rows.Keys()...), ch.Delete...)
	s.commit()
}

// follow brings some of what was written to the target: as it is now.
func (s *source) follow(t *rapid.T, target *world) {
	keys := s.keys[:min(len(s.keys), rapid.IntRange(1, 20).Draw(t, "keys"))]
	s.keys = s.keys[len(keys):]
	rows, err := s.d.RowsByKey(ctx, keys)
	must(t, err)
	found := map[store.RowKey]bool{}
	for _, k := range rows.Keys() {
		found[k] = true
	}
	gone := slices.DeleteFunc(slices.Clone(keys), func(k store.RowKey) bool { return found[k] })
	target.write(store.Changes{Drop: gone, Put: rows})
}

// change makes one change, of the room or of a user.
func (s *source) change(t *rapid.T) {
	user := s.user(rapid.IntRange(0, 1).Draw(t, "user"))
	n := rapid.Int64Range(0, 99).Draw(t, "n")
	more := &s.batch.more
	switch what := rapid.SampledFrom([]string{"room", "room", "room", "key", "online", "user", "erase"}).Draw(t, "what"); {
	case what == "user":
		s.save() // each row once in a commit
		more.Users = []chat.User{{ID: user, Name: fmt.Sprint(n)}}
		more.Access = []chat.Access{{User: user, NotBefore: n}}
		more.Devices = []chat.Device{{User: user, ID: fmt.Sprint(n % 2), Seen: n}}
		more.PushSettings = []chat.PushSettings{{User: user, MuteUntil: n}}
		if job := job(user, store.RoomTopic(s.id), fmt.Sprint(n%3), n); n%4 == 0 {
			more.Delete = []store.RowKey{store.KeyOf(&job)}
		} else {
			more.PushJobs = []store.PushJob{job}
		}
		more.PushOwners = []store.PushOwner{{Digest: string(s.id), User: user, Seen: n}}
		more.UserNodes = []store.UserNodes{{User: user, Nodes: fmt.Sprint("n", n)}}
		more.UserRooms = []store.UserRoom{{User: user, Room: s.id, Role: chat.RoleMember, Read: chat.Seq(n)}}
		s.save()
	case what == "online":
		e := store.OnlineEntry{User: user, Node: fmt.Sprint("n", n%2)}
		s.online[e] = !s.online[e]
		s.save()
		more.Online = []store.OnlineChange{{Room: s.id, OnlineEntry: e, On: s.online[e]}}
		s.save()
	case what == "erase":
		s.erase()
	case what == "key":
		s.makeRoom()
		key := fmt.Sprint("key ", n%4)
		if !slices.ContainsFunc(s.rooms[s.id].messages, func(m chat.Message) bool { return m.User == user && m.Key == key }) {
			s.post(s.id, user, "text", key)
		}
	default:
		s.makeRoom()
		randomChange(t, s.world, s.id, user)
	}
}

// makeRoom makes the room unless it is there, behind its earlier histories.
func (s *source) makeRoom() {
	if s.rooms[s.id] == nil {
		s.save()
		r := s.room(s.id)
		r.Rev, r.InfoRev, r.Floor = s.floor+1, s.floor+1, s.floor
	}
}

// erase deletes the room and its rows, in the steps in which that is done.
func (s *source) erase() {
	r := s.rooms[s.id]
	if r == nil {
		return
	}
	s.save()
	delete(s.rooms, s.id)
	r.Deleted, r.LastSeq, r.Members, r.Rev = true, 0, 0, r.Rev+1
	s.batch.more.Rooms = []chat.Room{r.Room}
	s.save()
	for {
		left := get(s.d.Load(ctx, &store.Need{Removals: []chat.RoomID{s.id}}))(s.t).Removals[s.id]
		if left.Empty() {
			break
		}
		s.write(store.Changes{Removals: []*store.Removal{left}})
		rows := store.Rows{Members: left.Members}
		for _, k := range left.Reactions {
			rows.Reactions = append(rows.Reactions, store.ReactionChange{ReactionKey: k})
		}
		for seq := left.From; seq <= left.To && left.To > 0; seq++ {
			rows.Messages = append(rows.Messages, chat.Message{Room: s.id, Seq: seq})
		}
		for _, e := range left.Online {
			rows.Online = append(rows.Online, store.OnlineChange{Room: s.id, OnlineEntry: e})
			delete(s.online, e)
		}
		s.keys = append(s.keys, rows.Keys()...)
	}
	r.Floor, s.floor = r.Rev, r.Rev
	s.batch.more.Rooms = []chat.Room{r.Room}
	s.save()
}
