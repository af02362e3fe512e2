package storetest

import (
	"fmt"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// checkPut copies rows of every sort into an empty shard, and once more, which
// changes nothing. Then the copy is written to like any other shard.
func checkPut(t *testing.T, h Harness) {
	s, d := newStock(t, h.open(t)), h.open(t)
	to := newWorld(t, d)
	for range 2 {
		to.write(store.Changes{Put: s.all()})
		allAlike(t, s.all(), s.d, d)
	}
	d = h.Reopen(t, d)
	allAlike(t, s.all(), s.d, d)

	s.d, s.at = d, get(d.Acquire(ctx, 0))(t)
	s.post("A", "ann", "after the move", "a key")
	s.react("A", 3, "ann", "👍", false)
	s.commit()
	delete(s.rooms, "a") // deleted
	s.verify()
}

// checkPutReplaces puts rows over older ones of the same keys.
func checkPutReplaces(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	before, after := version("r", "ann", 1), version("r", "ann", 2)
	w.write(store.Changes{Put: &before})
	same(t, "before", *pick(get(d.RowsByKey(ctx, before.Keys()))(t), every), before)
	w.write(store.Changes{Put: &after})
	same(t, "after", *pick(get(d.RowsByKey(ctx, before.Keys()))(t), every), after)
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
	w.write(store.Changes{Put: &before}) // back
	same(t, "before again", *pick(get(d.RowsByKey(ctx, before.Keys()))(t), every), before)

	// A key is found where its message is, and not where it was.
	was, is := store.MessageKey{Room: "r", User: "ann", Key: "1"}, store.MessageKey{Room: "r", User: "ann", Key: "2"}
	w.write(store.Changes{Put: &after})
	same(t, "keys", get(d.Load(ctx, &store.Need{Keys: []store.MessageKey{was, is}}))(t).Keys, map[store.MessageKey]chat.Seq{is: 1})
	// Changed and unchanged messages, as deltas see them.
	m := after.Messages[0]
	m.Created = m.Rev
	w.write(store.Changes{Put: &store.Rows{Messages: []chat.Message{m}}})
	rows := get(d.DeltaRows(ctx, "r", m.Rev-1, store.Space{Items: 9}))(t)
	same(t, "changed", len(rows.Changed), 0)
	same(t, "created", len(rows.Created), 1)
}

// version are rows of the same keys, with everything else by n.
func version(room chat.RoomID, user chat.UserID, n int64) store.Rows {
	text := fmt.Sprint(n)
	r := chat.Room{ID: room, Title: text, Topic: text, Avatar: "/" + text, Data: text, Open: n == 1, ReadOnly: n == 2, LastSeq: 1, Rev: 90,
		InfoRev: chat.Rev(n), Members: 1, Created: n, Active: n, Archived: n == 1, Floor: chat.Rev(n)}
	return store.Rows{
		Rooms: []chat.Room{r},
		Members: []chat.Member{{Room: room, User: user, Name: text, Avatar: "/" + text, Data: text, Role: chat.Role(n), Until: n,
			Rev: chat.Rev(n), Since: n}},
		Messages: []chat.Message{{Room: room, Seq: 1, Rev: chat.Rev(40 + n), Created: chat.Rev(30 + n), User: user, Name: text, Text: text,
			Time: n, Key: text, Digest: -n, ReplyTo: chat.Seq(n), Data: []byte(text), Edited: n, Deleted: n == 2, Mentions: []chat.UserID{user, chat.UserID(text)}[:2-n%2]}},
		Reactions: []store.ReactionChange{{ReactionKey: store.ReactionKey{Room: room, Seq: 1, Emoji: "👍", User: user}, On: true, Time: n}},
		Online:    []store.OnlineChange{online(room, user, "node")},
		UserRooms: []store.UserRoom{{User: user, Room: room, Role: chat.Role(n), Rev: chat.Rev(n), Read: chat.Seq(n)}},
		Users:     []chat.User{{ID: user, Name: text, Avatar: "/" + text, Data: text, Named: n}},
		Access:    []chat.Access{{User: user, NotBefore: n, Claimed: n == 1}},

		Devices: []chat.Device{{User: user, ID: "d", Provider: text, Address: text, Language: text, Registered: n, Seen: n}},
		PushSettings: []chat.PushSettings{{User: user, Room: room, Level: chat.PushLevel(n), MuteUntil: n, QuietFrom: int(n), QuietTo: int(n),
			TimeZone: text, HideContent: n == 1}},
		PushJobs:   []store.PushJob{job(user, store.RoomTopic(room), "d", n)},
		PushOwners: []store.PushOwner{{Digest: "digest", User: user, Device: text, Seen: n}},
		UserNodes:  []store.UserNodes{{User: user, Nodes: text}},
	}
}

// checkPutKeys puts messages whose keys belong to other ones of an earlier room.
func checkPutKeys(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	message := func(seq chat.Seq, user chat.UserID, key string) chat.Message {
		return chat.Message{Room: "r", Seq: seq, Rev: chat.Rev(seq), Created: chat.Rev(seq), User: user, Key: key, Text: "x"}
	}
	put := func(ms ...chat.Message) { w.write(store.Changes{Put: &store.Rows{Messages: ms}}) }
	left := func() []chat.Message {
		rows, _, err := d.SlotRows(ctx, chat.RoomID("r").Slot(), store.RowKey{}, 100, 0)
		must(t, err)
		return rows.Messages
	}
	put(message(1, "ann", "k1"), message(2, "ann", "k2"), message(3, "bob", "k2"), message(4, "ann", ""), message(300, "ann", "k300"))
	one, two := message(1, "ann", "k2"), message(2, "ann", "k300")
	put(one)
	same(t, "the key has moved to another message", left(), []chat.Message{one, message(3, "bob", "k2"), message(4, "ann", ""), message(300, "ann", "k300")})
	put(two, message(5, "ann", ""))
	want := []chat.Message{one, two, message(3, "bob", "k2"), message(4, "ann", ""), message(5, "ann", "")}
	same(t, "and the other one", left(), want)
	put(want...)
	same(t, "put again", left(), want)
	// Two that change their keys with each other.
	want[0].Key, want[1].Key = want[1].Key, want[0].Key
	put(want...)
	same(t, "keys swapped", left(), want)
}

// checkDrop deletes every row there is, one table after the other.
func checkDrop(t *testing.T, d store.Driver) {
	s := newStock(t, d)
	left := pick(s.all(), every)
	for table := store.LastTable; table >= store.TableRooms; table-- {
		var drop []store.RowKey
		for i, k := range left.Keys() {
			absent := k
			absent.ID += "x"
			if k.Table == table && i%2 == 0 {
				drop = append(drop, absent, k)
			}
		}
		gone := map[store.RowKey]bool{}
		for _, k := range drop {
			gone[k] = true
		}
		for range 2 { // those that do not exist are passed over
			s.write(store.Changes{Drop: drop})
		}
		left = pick(left, func(k store.RowKey) bool { return !gone[k] })
		same(t, fmt.Sprint("rows without half of table ", table), *pick(get(d.RowsByKey(ctx, s.all().Keys()))(t), every), *left)
		if table == store.TableReactions {
			same(t, "faults", get(d.Check(ctx, nil))(t), nil) // such as a count that is wrong
		}
	}
	s.write(store.Changes{Drop: left.Keys()})
	same(t, "rows", *pick(get(d.RowsByKey(ctx, s.all().Keys()))(t), every), store.Rows{})
	same(t, "any room", get(d.HasRooms(ctx))(t), false)
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
}

// checkDropAndPut holds what moves to the order in which a commit writes, and to the
// fence.
func checkDropAndPut(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.member("r", "ann", chat.RoleOwner)
	w.post("r", "ann", "one", "key 1")
	w.react("r", 1, "ann", "👍", true)
	w.commit()
	before := pick(get(d.RowsByKey(ctx, worldRows(w).Keys()))(t), every)

	other := version("other", "bob", 1)
	moved := store.Changes{Drop: before.Keys(), Put: &other, Outbox: []byte("entry")}
	old := w.at
	get(d.Acquire(ctx, 0))(t)
	wantKind(t, d.Commit(ctx, 0, old, &moved), chat.Fenced)
	w.at = get(d.Acquire(ctx, 0))(t)
	bad := moved
	bad.Insert = []chat.Message{w.rooms["r"].messages[0]} // is there
	if err := d.Commit(ctx, 0, w.at, &bad); err == nil {
		t.Fatal("a message was inserted twice")
	}
	for _, table := range []store.Table{0, store.LastTable + 1, 255} {
		bad = moved
		bad.Drop = append(before.Keys(), store.RowKey{Table: table, ID: "r"})
		if err := d.Commit(ctx, 0, w.at, &bad); err == nil {
			t.Fatalf("a key of table %d was dropped", table)
		}
	}
	same(t, "rows after what failed", *pick(get(d.RowsByKey(ctx, append(before.Keys(), other.Keys()...)))(t), every), *before)
	w.verify()

	// Dropped and put in the commit that changes the same rows.
	w.at = get(d.Acquire(ctx, 0))(t)
	w.react("r", 1, "bob", "🎉", true)
	w.post("r", "ann", "two", "key 2")
	ch := w.changes()
	w.clear()
	put := version("r", "ann", 2)
	ch.Drop, ch.Put = append(worldRows(w).Keys(), put.Keys()...), &put
	w.write(*ch)
	same(t, "rows", *pick(get(d.RowsByKey(ctx, append(worldRows(w).Keys(), put.Keys()...)))(t), every), put)
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
}

func worldRows(w *world) *store.Rows { return pick((&stock{world: w}).all(), every) }
