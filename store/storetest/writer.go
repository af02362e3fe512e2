package storetest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkPosition(t *testing.T, d store.Driver) {
	at := get(d.Acquire(ctx, 0))(t)
	if at.N != 0 {
		t.Fatalf("a new lane stands at %d", at.N)
	}
	for range 3 {
		must(t, d.Commit(ctx, 0, at, &store.Changes{})) // nothing to write moves the lane too
		at = at.Next()
	}
	again := get(d.Acquire(ctx, 0))(t)
	if again.N != 3 || again.Epoch <= at.Epoch {
		t.Fatalf("acquired %+v after %+v", again, at)
	}
}

func checkFencing(t *testing.T, d store.Driver) {
	first := newWorld(t, d)
	first.post("r", "ann", "one", "")
	first.commit()

	second := get(d.Acquire(ctx, 0))(t)
	if second.N != first.at.N || second.Epoch <= first.at.Epoch {
		t.Fatalf("the second owner got %+v, the first stands at %+v", second, first.at)
	}
	intruder := &store.Changes{Rooms: []chat.Room{{ID: "intruder", Rev: 1}}}
	for name, at := range map[string]store.Position{
		"an old epoch":           first.at,
		"an epoch to come":       {Epoch: second.Epoch + 1, N: second.N},
		"a position gone by":     {Epoch: second.Epoch, N: second.N - 1},
		"a position not reached": second.Next(),
	} {
		err := d.Commit(ctx, 0, at, intruder)
		if chat.KindOf(err) != chat.Fenced {
			t.Errorf("commit at %s: %v", name, err)
		}
	}
	_, err := d.Room(ctx, "intruder")
	wantKind(t, err, chat.NotFound)

	must(t, d.Commit(ctx, 0, second, intruder))
	wantKind(t, d.Commit(ctx, 0, second, intruder), chat.Fenced) // the same position twice
	wantKind(t, d.Commit(ctx, 7, store.Position{}, intruder), chat.Fenced)
}

// checkRace lets many commit at one position: one of them is in time.
func checkRace(t *testing.T, d store.Driver) {
	at := get(d.Acquire(ctx, 0))(t)
	const owners = 8
	errs := make([]error, owners)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			errs[i] = d.Commit(ctx, 0, at, &store.Changes{Rooms: []chat.Room{{ID: "r", Rev: chat.Rev(i + 1)}}})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Fatal("two commits at one position")
		default:
			wantKind(t, err, chat.Fenced)
		}
	}
	if winner < 0 {
		t.Fatal("none was in time")
	}
	same(t, "rev", get(d.Room(ctx, "r"))(t).Rev, chat.Rev(winner+1))
}

func checkLanes(t *testing.T, d store.Driver) {
	a := get(d.Acquire(ctx, 1))(t)
	b := get(d.Acquire(ctx, 2))(t)
	must(t, d.Commit(ctx, 1, a, &store.Changes{}))
	get(d.Acquire(ctx, 1))(t)
	must(t, d.Commit(ctx, 2, b, &store.Changes{})) // not fenced by lane 1's new owner
	same(t, "lane 2", get(d.Acquire(ctx, 2))(t).N, 1)
}

func checkAtomic(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.member("r", "ann", chat.RoleMember)
	w.post("r", "ann", "one", "key 1")
	w.commit()

	taken := w.message("r", 1)
	sameKey := taken
	sameKey.Seq, sameKey.Rev, sameKey.Created = 2, 3, 3
	for name, bad := range map[string]chat.Message{"a number that is taken": taken, "a key that is taken": sameKey} {
		ch := store.Changes{
			Rooms:     []chat.Room{{ID: "r", Rev: 99}, {ID: "new", Rev: 1}},
			Members:   []chat.Member{{Room: "r", User: "bob", Role: chat.RoleOwner, Rev: 99}},
			Insert:    []chat.Message{{Room: "new", Seq: 1, Rev: 1, Created: 1, User: "ann", Text: "x"}, bad},
			UserRooms: []store.UserRoom{{User: "bob", Room: "r", Role: chat.RoleOwner}},
			Users:     []chat.User{{ID: "bob", Name: "Bob"}},
			Online:    []store.OnlineChange{{Room: "r", OnlineEntry: store.OnlineEntry{User: "bob", Node: "n"}, On: true}},
			Reactions: []store.ReactionChange{{ReactionKey: store.ReactionKey{Room: "r", Seq: 1, Emoji: "+", User: "bob"}, On: true}},
			Cursors:   []store.Cursor{{Consumer: "c", Position: 5}},
			Outbox:    []byte("entry"),
		}
		err := d.Commit(ctx, 0, w.at, &ch)
		if chat.KindOf(err) != chat.Conflict {
			t.Fatalf("insert of %s: %v", name, err)
		}
		w.verify()
		_, err = d.Room(ctx, "new")
		wantKind(t, err, chat.NotFound)
		_, err = d.Member(ctx, "r", "bob")
		wantKind(t, err, chat.NotFound)
		same(t, "rooms of bob", get(d.UserRooms(ctx, "bob", "", 9))(t), nil)
		same(t, "users", get(d.Users(ctx, []chat.UserID{"bob"}))(t), nil)
		same(t, "online", get(d.Online(ctx, "r", 9))(t), nil)
		same(t, "cursors", get(d.Cursors(ctx, 0))(t), nil)
		same(t, "outbox", get(d.Outbox(ctx, 0, 0, 9))(t), nil)
	}
	w.post("r", "ann", "two", "key 2") // the lane stands where it stood and goes on
	w.commit()
	w.verify()
}

func checkDurable(t *testing.T, h Harness) {
	d := h.open(t)
	w := newWorld(t, d)
	fill(w)
	w.batch.more = store.Changes{
		UserRooms: []store.UserRoom{{User: "ann", Room: "r", Role: chat.RoleOwner, Rev: 4, Read: 3}},
		Online:    []store.OnlineChange{{Room: "r", OnlineEntry: store.OnlineEntry{User: "ann", Node: "n1"}, On: true}},
		Cursors:   []store.Cursor{{Consumer: "c", Position: 1}},
		Outbox:    []byte("entry"),
		Taken:     &store.Taken{Queue: 9, Senders: []byte("sender")},
	}
	w.commit()
	w.verify()

	w.d = h.Reopen(t, d)
	w.verify()
	same(t, "rooms of ann", get(w.d.UserRooms(ctx, "ann", "", 9))(t),
		[]store.UserRoom{{User: "ann", Room: "r", Role: chat.RoleOwner, Rev: 4, Read: 3}})
	same(t, "online", get(w.d.Online(ctx, "r", 9))(t), []store.OnlineEntry{{User: "ann", Node: "n1"}})
	same(t, "cursors", get(w.d.Cursors(ctx, 0))(t), []store.Cursor{{Consumer: "c", Position: 1}})
	same(t, "outbox", len(get(w.d.Outbox(ctx, 0, 0, 9))(t)), 1)
	sameTaken(t, w.d, 0, store.Taken{Queue: 9, Senders: []byte("sender")})
	at := get(w.d.Acquire(ctx, 0))(t)
	if at.N != w.at.N || at.Epoch <= w.at.Epoch {
		t.Fatalf("the lane stands at %+v, it stood at %+v", at, w.at)
	}
	w.at = at
	w.post("r", "ann", "after", "")
	w.commit()
	w.verify()
}

// fill puts something of everything into the rooms r and s.
func fill(w *world) {
	w.member("r", "ann", chat.RoleOwner)
	w.member("r", "bob", chat.RoleMember)
	w.post("r", "ann", "one", "key 1")
	w.post("r", "bob", "two", "")
	w.post("r", "ann", "three", "key 3")
	w.commit()
	w.edit("r", 1, "one, better")
	w.remove("r", 2)
	w.react("r", 3, "bob", "👍", true)
	w.member("r", "bob", chat.RoleNone)
	w.rename("s", "another")
	w.post("s", "cid", "hello", "key 1")
}

func checkLoad(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	fill(w)
	ur := store.UserRoom{User: "ann", Room: "r", Role: chat.RoleOwner, Rev: 4, Read: 3}
	w.batch.more.UserRooms = []store.UserRoom{ur}
	w.commit()

	same(t, "nothing", *get(d.Load(ctx, &store.Need{}))(t), *store.NewState())
	st := get(d.Load(ctx, &store.Need{
		Rooms:    []chat.RoomID{"r", "absent", "r", "s"},
		Members:  []store.MemberKey{{Room: "r", User: "ann"}, {Room: "r", User: "bob"}, {Room: "s", User: "ann"}, {Room: "r", User: "ann"}},
		Messages: []store.MessageRef{{Room: "r", Seq: 2}, {Room: "r", Seq: 9}, {Room: "s", Seq: 1}, {Room: "r", Seq: 3}, {Room: "r", Seq: 2}},
		Reactions: []store.ReactionKey{
			{Room: "r", Seq: 3, Emoji: "👍", User: "bob"}, {Room: "r", Seq: 3, Emoji: "👍", User: "ann"},
			{Room: "r", Seq: 1, Emoji: "👍", User: "bob"}, {Room: "r", Seq: 3, Emoji: "👍", User: "bob"},
		},
		Emoji:     []store.MessageRef{{Room: "r", Seq: 3}, {Room: "r", Seq: 1}, {Room: "r", Seq: 3}},
		UserRooms: []store.UserRoomKey{{User: "ann", Room: "r"}, {User: "ann", Room: "s"}, {User: "ann", Room: "r"}},
	}))(t)
	bare := func(id chat.RoomID, seq chat.Seq) chat.Message { return w.rooms[id].messages[seq-1] }
	same(t, "rooms", st.Rooms, map[chat.RoomID]chat.Room{"r": w.rooms["r"].Room, "s": w.rooms["s"].Room})
	same(t, "members", st.Members, map[store.MemberKey]chat.Member{
		{Room: "r", User: "ann"}: w.rooms["r"].members["ann"],
		{Room: "r", User: "bob"}: w.rooms["r"].members["bob"],
	})
	same(t, "messages", st.Messages, map[store.MessageRef]chat.Message{
		{Room: "r", Seq: 2}: bare("r", 2), {Room: "r", Seq: 3}: bare("r", 3), {Room: "s", Seq: 1}: bare("s", 1),
	})
	same(t, "reactions", st.Reactions, map[store.ReactionKey]bool{{Room: "r", Seq: 3, Emoji: "👍", User: "bob"}: true})
	same(t, "emoji", st.Emoji, map[store.MessageRef]map[string]int{{Room: "r", Seq: 3}: {"👍": 1}})
	same(t, "user rooms", st.UserRooms, map[store.UserRoomKey]store.UserRoom{{User: "ann", Room: "r"}: ur})
	same(t, "keys", st.Keys, nil)
}

func checkKeys(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.post("r", "ann", "one", "key 1")
	w.post("r", "bob", "two", "key 1") // another sender: another message
	w.post("r", "ann", "three", "")
	w.post("r", "ann", "four", "") // no key is no key, twice
	w.post("s", "ann", "five", "key 1")
	w.commit()
	w.remove("r", 1) // a tombstone still answers for its key
	w.commit()
	st := get(d.Load(ctx, &store.Need{Keys: []store.MessageKey{
		{Room: "r", User: "ann", Key: "key 1"}, {Room: "r", User: "bob", Key: "key 1"}, {Room: "s", User: "ann", Key: "key 1"},
		{Room: "s", User: "bob", Key: "key 1"}, {Room: "r", User: "ann", Key: "KEY 1"}, {Room: "r", User: "ann", Key: "key 1"},
	}}))(t)
	same(t, "keys", st.Keys, map[store.MessageKey]chat.Seq{
		{Room: "r", User: "ann", Key: "key 1"}: 1, {Room: "r", User: "bob", Key: "key 1"}: 2, {Room: "s", User: "ann", Key: "key 1"}: 1,
	})
	same(t, "messages", st.Messages, map[store.MessageRef]chat.Message{
		{Room: "r", Seq: 1}: w.message("r", 1), {Room: "r", Seq: 2}: w.message("r", 2), {Room: "s", Seq: 1}: w.message("s", 1),
	})
}

// checkReplace writes every row twice: the second time wins in every column.
func checkReplace(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.write(store.Changes{
		Rooms:     []chat.Room{{ID: "r", Title: "a", Open: true, LastSeq: 1, Rev: 2, InfoRev: 1, Members: 1, Created: 5, Topic: "a", Avatar: "/a", Data: "1"}},
		Members:   []chat.Member{{Room: "r", User: "ann", Name: "a", Role: chat.RoleMuted, Rev: 1, Since: 5, Avatar: "/a", Data: "1", Until: 7}},
		Insert:    []chat.Message{{Room: "r", Seq: 1, Rev: 2, Created: 2, User: "ann", Name: "Ann", Text: "a", Time: 5, Key: "k", Digest: -7, ReplyTo: 1, Data: []byte(`{"a":1}`), Mentions: []chat.UserID{"bob"}}},
		UserRooms: []store.UserRoom{{User: "ann", Room: "r", Role: chat.RoleMember, Rev: 1, Read: 1}},
	})
	room := chat.Room{ID: "r", Title: "b", ReadOnly: true, LastSeq: 1, Rev: 5, InfoRev: 4, Members: 1, Created: 6, Topic: "b", Data: "{}"}
	member := chat.Member{Room: "r", User: "ann", Name: "b", Role: chat.RoleOwner, Rev: 3, Since: 6, Avatar: "/b", Data: "{}"}
	mine := store.UserRoom{User: "ann", Room: "r", Role: chat.RoleOwner, Rev: 3, Read: 7}
	w.write(store.Changes{
		Rooms: []chat.Room{room}, Members: []chat.Member{member}, UserRooms: []store.UserRoom{mine},
		Update: []chat.Message{{Room: "r", Seq: 1, Rev: 5, Text: "b", Edited: 6, Data: []byte(`{"b":2}`), Mentions: []chat.UserID{"cid", "dan é"}}},
	})
	same(t, "room", get(d.Room(ctx, "r"))(t), room)
	same(t, "member", get(d.Member(ctx, "r", "ann"))(t), member)
	same(t, "user room", get(d.UserRooms(ctx, "ann", "", 9))(t), []store.UserRoom{mine})
	ms, _, err := d.Messages(ctx, "r", store.Page{Limit: 9})
	must(t, err)
	same(t, "message", ms, []chat.Message{{Room: "r", Seq: 1, Rev: 5, Created: 2, User: "ann", Name: "Ann", Text: "b", Time: 5, Key: "k",
		Digest: -7, ReplyTo: 1, Data: []byte(`{"b":2}`), Edited: 6, Mentions: []chat.UserID{"cid", "dan é"}}})
}

// odd are ids that must stay apart from each other and come back as they went.
var odd = []string{
	"a", "A", "a ", " a", "á", "a\u0301", "ä", "日本語 ルーム", "👩‍👩‍👧‍👦", "👩", "o'clock", `"quoted"`, "`tick`", `back\slash`, "100%", "100_",
	"'; DROP TABLE rooms; --", "$1", "?", ":x", "@x", "null", "0", "00", "1e3", strings.Repeat("x", 128), strings.Repeat("é", 64),
}

func checkOddIDs(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	for _, id := range odd {
		w.member(chat.RoomID(id), chat.UserID(id), chat.RoleMember)
		w.post(chat.RoomID(id), chat.UserID(id), "text of "+id, id)
		w.react(chat.RoomID(id), 1, chat.UserID(id), id, true)
	}
	w.commit()
	for _, id := range odd {
		w.member("all", chat.UserID(id), chat.RoleMember)
		w.post("all", "ann", "zero\x00byte", id)
		w.batch.more.UserRooms = append(w.batch.more.UserRooms, store.UserRoom{User: "ann", Room: chat.RoomID(id), Role: chat.RoleMember})
	}
	w.post("all", "ann", "", "nul\x00a")
	w.post("all", "ann", "", "nul\x00b")
	w.commit()
	w.verify()
	var keys []store.MessageKey
	for _, k := range append([]string{"nul\x00a", "nul\x00b"}, odd...) {
		keys = append(keys, store.MessageKey{Room: "all", User: "ann", Key: k})
	}
	st := get(d.Load(ctx, &store.Need{Keys: keys}))(t)
	for _, k := range keys {
		if seq := st.Keys[k]; w.message("all", max(seq, 1)).Key != k.Key {
			t.Errorf("key %q found message %d", k.Key, seq)
		}
	}
	same(t, "rooms of ann", len(get(d.UserRooms(ctx, "ann", "", 100))(t)), len(odd))
}

func checkSharesNothing(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	data := []byte(`{"a":1}`)
	w.write(store.Changes{
		Rooms:  []chat.Room{{ID: "r", LastSeq: 1, Rev: 1}},
		Insert: []chat.Message{{Room: "r", Seq: 1, Rev: 1, Created: 1, User: "ann", Data: data}},
	})
	data[2] = 'X'
	for range 2 {
		ms, _, err := d.Messages(ctx, "r", store.Page{Limit: 1})
		must(t, err)
		same(t, "data", string(ms[0].Data), `{"a":1}`)
		ms[0].Data[2] = 'Y'
	}
}

func checkCancelled(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	fill(w)
	w.commit()
	for name, err := range cancelledCalls(shard(t, d), w.at) {
		var e *chat.Error
		if err != nil && (!errors.As(err, &e) || e.Kind != chat.Unavailable) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	at := get(d.Acquire(ctx, 0))(t) // a commit may have been in time
	w.verify()
	must(t, d.Commit(ctx, 0, at, &store.Changes{}))
}
