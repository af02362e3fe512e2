package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func checkRoom(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	fill(w)
	w.commit()
	w.verify()
	_, err := d.Room(ctx, "absent")
	wantKind(t, err, chat.NotFound)
	_, err = d.Member(ctx, "r", "absent")
	wantKind(t, err, chat.NotFound)
	_, err = d.Member(ctx, "absent", "ann")
	wantKind(t, err, chat.NotFound)
	same(t, "bob has left", get(d.Member(ctx, "r", "bob"))(t).Role, chat.RoleNone)
}

func checkPages(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	for i := range 10 {
		w.post("r", "ann", fmt.Sprint("message ", i+1), "")
		w.post("s", "ann", "of another room", "")
	}
	w.room("empty")
	w.commit()
	for _, c := range []struct {
		room     chat.RoomID
		page     store.Page
		from, to chat.Seq
		more     bool
	}{
		{"r", store.Page{Limit: 3}, 8, 10, true},
		{"r", store.Page{Limit: 10}, 1, 10, false},
		{"r", store.Page{Limit: 11}, 1, 10, false},
		{"r", store.Page{Limit: 9}, 2, 10, true},
		{"r", store.Page{Before: 8, Limit: 3}, 5, 7, true},
		{"r", store.Page{Before: 4, Limit: 3}, 1, 3, false},
		{"r", store.Page{Before: 3, Limit: 3}, 1, 2, false},
		{"r", store.Page{Before: 1, Limit: 3}, 1, 0, false},
		{"r", store.Page{Before: 99, Limit: 2}, 9, 10, true},
		{"r", store.Page{After: store.FromStart, Limit: 3}, 1, 3, true},
		{"empty", store.Page{After: store.FromStart, Limit: 3}, 1, 0, false},
		{"r", store.Page{After: 1, Limit: 3}, 2, 4, true},
		{"r", store.Page{After: 7, Limit: 3}, 8, 10, false},
		{"r", store.Page{After: 8, Limit: 3}, 9, 10, false},
		{"r", store.Page{After: 10, Limit: 3}, 1, 0, false},
		{"r", store.Page{After: 99, Limit: 3}, 1, 0, false},
		{"r", store.Page{Limit: 0}, 1, 0, true},
		{"empty", store.Page{Limit: 3}, 1, 0, false},
	} {
		ms, more, err := d.Messages(ctx, c.room, c.page)
		must(t, err)
		same(t, fmt.Sprintf("%s %+v", c.room, c.page), ms, w.messages(c.room, c.from, c.to))
		same(t, fmt.Sprintf("more of %s %+v", c.room, c.page), more, c.more)
	}
	ms, more, err := d.Messages(ctx, "absent", store.Page{Limit: 3})
	must(t, err)
	if len(ms) != 0 || more {
		t.Fatalf("an unknown room has %d messages, more %v", len(ms), more)
	}
}

// checkPagesFilled pages over tombstones, edits and reactions in both directions.
func checkPagesFilled(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	for i := range 9 {
		w.post("r", "ann", fmt.Sprint("message ", i+1), fmt.Sprint("key ", i+1))
	}
	w.rooms["r"].messages[3].Data = []byte(`{"gone":"soon"}`)
	w.rooms["r"].messages[4].ReplyTo = 2
	w.commit()
	for _, seq := range []chat.Seq{1, 4, 9} {
		w.react("r", seq, "bob", "👍", true)
		w.remove("r", seq)
	}
	for _, seq := range []chat.Seq{2, 5, 8} {
		w.react("r", seq, "bob", "👍", true)
		w.react("r", seq, "ann", "🎉", true)
		w.edit("r", seq, "edited")
	}
	w.commit()
	w.verify()
	for limit := 1; limit <= 4; limit++ {
		for seq := chat.Seq(1); seq <= 9; seq++ {
			up, _, err := d.Messages(ctx, "r", store.Page{After: seq, Limit: limit})
			must(t, err)
			same(t, "after", up, w.messages("r", seq+1, min(seq+chat.Seq(limit), 9)))
			down, _, err := d.Messages(ctx, "r", store.Page{Before: seq, Limit: limit})
			must(t, err)
			same(t, "before", down, w.messages("r", max(seq-chat.Seq(limit), 1), seq-1))
		}
	}
}

// checkPagesInBytes pages through messages of different sizes, some of which are
// large by their reactions alone: a page is full, but never larger than asked for
// with more than one message in it, and pages follow each other without a hole.
func checkPagesInBytes(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	for i := range 12 {
		w.post("r", "ann", strings.Repeat("\x01", i*i), "")
		for j := range i % 3 * 8 {
			w.react("r", chat.Seq(i+1), chat.UserID(fmt.Sprint("user ", j)), fmt.Sprint("e", j%2), true)
		}
	}
	w.commit()
	all := w.messages("r", 1, 12)
	for _, bytes := range []int{1, 400, 700, 1500, 1 << 20} {
		var up, down []chat.Message
		check := func(ms []chat.Message, next *chat.Message, more bool) {
			t.Helper()
			size := 0
			for i := range ms {
				size += ms[i].Size()
			}
			switch {
			case len(ms) == 0, size > bytes && len(ms) > 1:
				t.Fatalf("%d messages of %d bytes, the bound is %d", len(ms), size, bytes)
			case more != (next != nil):
				t.Fatalf("more is %v", more)
			case next != nil && size+next.Size() <= bytes:
				t.Fatalf("a page of %d bytes has space for %d in %d", size, next.Size(), bytes)
			}
		}
		for at, more := store.FromStart, true; more; at = up[len(up)-1].Seq {
			var ms []chat.Message
			ms, more, _ = d.Messages(ctx, "r", store.Page{After: at, Limit: 100, Bytes: bytes})
			up = append(up, ms...)
			var next *chat.Message
			if len(up) < len(all) {
				next = &all[len(up)]
			}
			check(ms, next, more)
		}
		same(t, fmt.Sprint("up in ", bytes), up, all)
		for at, more := chat.Seq(0), true; more; at = down[0].Seq {
			var ms []chat.Message
			ms, more, _ = d.Messages(ctx, "r", store.Page{Before: at, Limit: 100, Bytes: bytes})
			down = append(ms, down...)
			var next *chat.Message
			if len(down) < len(all) {
				next = &all[len(all)-len(down)-1]
			}
			check(ms, next, more)
		}
		same(t, fmt.Sprint("down in ", bytes), down, all)
	}
}

// checkReactions pins the order: emoji by first use, users by choosing.
func checkReactions(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.post("r", "ann", "one", "")
	w.commit()
	for _, c := range []struct {
		user  chat.UserID
		emoji string
		on    bool
	}{
		{"zoe", "👍", true}, {"ann", "🎉", true}, {"bob", "👍", true}, {"ann", "👍", true},
		{"zoe", "👍", false}, {"zoe", "👍", true}, {"ann", "🎉", false}, {"cid", "❤️", true},
	} {
		w.react("r", 1, c.user, c.emoji, c.on)
		w.commit()
	}
	ms, _, err := d.Messages(ctx, "r", store.Page{Limit: 1})
	must(t, err)
	same(t, "reactions", ms[0].Reactions, []chat.Reaction{
		{Emoji: "👍", Count: 3, Users: []chat.UserID{"bob", "ann", "zoe"}}, {Emoji: "❤️", Count: 1, Users: []chat.UserID{"cid"}},
	})
	w.react("r", 1, "bob", "👍", false) // taken away and given again in one batch: the last in line
	w.react("r", 1, "bob", "👍", true)
	w.react("r", 1, "eve", "?", false) // never was there
	w.commit()
	w.verify()
	for i := range chat.ReactionUsers + 5 { // more than a message names
		w.react("r", 1, chat.UserID(fmt.Sprint("user ", i)), "👍", true)
	}
	w.commit()
	w.verify()
	w.react("r", 1, "bob", "👍", false) // one that is named
	w.react("r", 1, "user 53", "👍", false)
	w.react("r", 1, "cid", "❤️", false)
	w.commit()
	w.verify()
	w.remove("r", 1)
	w.batch.more.Unreact = []store.MessageRef{{Room: "r", Seq: 1}}
	w.commit()
	w.verify()
	st := get(d.Load(ctx, &store.Need{Emoji: []store.MessageRef{{Room: "r", Seq: 1}}}))(t)
	same(t, "emoji under a message that lost its reactions", st.Emoji, nil)
}

func checkHeads(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	fill(w)
	w.room("empty")
	w.post("gone", "ann", "x", "")
	w.remove("gone", 1)
	w.commit()
	heads := map[chat.RoomID]store.Head{}
	for _, h := range get(d.Heads(ctx, []chat.RoomID{"r", "absent", "empty", "s", "gone"}))(t) {
		heads[h.Room.ID] = h
	}
	want := map[chat.RoomID]store.Head{}
	for id, r := range w.rooms {
		h := store.Head{Room: r.Room}
		if r.LastSeq > 0 {
			h.Last = &r.messages[r.LastSeq-1]
		}
		want[id] = h
	}
	same(t, "heads", heads, want)
	same(t, "heads of nothing", get(d.Heads(ctx, nil))(t), nil)
}

// cancelledCalls calls everything with a context that has ended, by way of Store,
// which knows the kind of what a driver says then.
func cancelledCalls(d *store.Shard, at store.Position) map[string]error {
	c, cancel := context.WithCancel(ctx)
	cancel()
	errs := map[string]error{}
	_, errs["Acquire"] = d.Acquire(c, 3)
	_, errs["Taken"] = d.Taken(c, 0)
	_, errs["Load"] = d.Load(c, &store.Need{Rooms: []chat.RoomID{"r"}})
	errs["Commit"] = d.Commit(c, 0, at, &store.Changes{})
	_, errs["Room"] = d.Room(c, "r")
	_, errs["Heads"] = d.Heads(c, []chat.RoomID{"r"})
	_, errs["Rooms"] = d.Rooms(c, []chat.RoomID{"r"})
	_, errs["ListRooms"] = d.ListRooms(c, store.RoomFilter{Limit: 1})
	_, errs["Others"] = d.Others(c, []store.Range{{Room: "r", User: "ann", To: 1}})
	_, _, errs["MessagesBy"] = d.MessagesBy(c, "ann", store.MessageRef{}, 1)
	_, _, errs["Messages"] = d.Messages(c, "r", store.Page{Limit: 1})
	_, errs["Delta"] = d.Delta(c, "r", 0, 1, 0)
	_, errs["Member"] = d.Member(c, "r", "ann")
	_, errs["Members"] = d.Members(c, "r", chat.RoleNone, "", 1)
	_, errs["Online"] = d.Online(c, "r", 1)
	_, _, errs["Sent"] = d.Sent(c, 0, store.MessageKey{Room: "r", User: "ann", Key: "k"})
	_, errs["Users"] = d.Users(c, []chat.UserID{"ann"})
	_, errs["UserRooms"] = d.UserRooms(c, "ann", "", 1)
	_, errs["Access"] = d.Access(c, "ann")
	_, errs["Recipients"] = d.Recipients(c, []chat.UserID{"ann"}, 1)
	_, errs["DuePushJobs"] = d.DuePushJobs(c, 0, 1, 1)
	_, errs["Outbox"] = d.Outbox(c, 0, 0, 1)
	_, errs["UserRoom"] = d.UserRoom(c, "ann", "r")
	_, errs["Cursors"] = d.Cursors(c, 0)
	errs["EachMember"] = d.EachMember(c, func(chat.Member) error { return nil })
	_, _, errs["SlotRows"] = d.SlotRows(c, 1, store.RowKey{}, 1, 0)
	_, errs["RowsByKey"] = d.RowsByKey(c, []store.RowKey{{Table: store.TableRooms, ID: "r"}})
	_, errs["Check"] = d.Check(c)
	return errs
}

// checkReaders reads while a writer commits pairs of messages: every answer is
// one commit's state, never half of one.
func checkReaders(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.room("r")
	w.commit()
	done := make(chan struct{})
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- readWhile(d, done) }()
	}
	for range 60 {
		w.post("r", "ann", "one of two", "")
		w.post("r", "ann", "two of two", "")
		w.react("r", w.rooms["r"].LastSeq, "bob", "👍", true)
		w.commit()
	}
	close(done)
	for range cap(errs) {
		must(t, <-errs)
	}
	w.verify()
}

func readWhile(d store.Driver, done <-chan struct{}) error {
	for reads := 0; ; reads++ {
		select {
		case <-done:
			if reads > 0 {
				return nil
			}
		default:
		}
		heads, err := d.Heads(ctx, []chat.RoomID{"r"})
		if err != nil {
			return err
		}
		h := heads[0]
		if h.Room.LastSeq%2 != 0 || h.Last != nil && h.Last.Seq != h.Room.LastSeq {
			return fmt.Errorf("half a commit: %+v %+v", h.Room, h.Last)
		}
		ms, _, err := d.Messages(ctx, "r", store.Page{Limit: 4})
		if err != nil {
			return err
		}
		if n := len(ms); n > 0 && (ms[n-1].Seq%2 != 0 || len(ms[n-1].Reactions) != 1) {
			return fmt.Errorf("half a commit: %+v", ms[n-1])
		}
		dl, err := d.DeltaRows(ctx, "r", h.Room.Rev, store.Space{Items: 1000})
		if err != nil {
			return err
		}
		if chat.Seq(len(dl.Created)) != dl.Room.LastSeq-h.Room.LastSeq {
			return fmt.Errorf("%d messages from %d to %d", len(dl.Created), h.Room.LastSeq, dl.Room.LastSeq)
		}
	}
}

func checkWhole(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	same(t, "faults of nothing", get(d.Check(ctx, nil))(t), nil)
	fill(w)
	w.commit()
	same(t, "faults", get(d.Check(ctx, nil))(t), nil)
	for _, c := range []struct {
		what string
		room chat.Room
	}{
		{"a message is missing", chat.Room{ID: "bad", LastSeq: 1, Rev: 1}},
		{"a member is missing", chat.Room{ID: "bad", Members: 1, Rev: 1}},
		{"right again", chat.Room{ID: "bad", Rev: 1}},
	} {
		w.write(store.Changes{Rooms: []chat.Room{c.room}})
		if n := len(get(d.Check(ctx, nil))(t)); (n == 0) != (c.what == "right again") {
			t.Errorf("%s: %d faults found", c.what, n)
		}
	}
}
