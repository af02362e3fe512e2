package storetest

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// checkDeltaRows looks at the sources of a delta one by one.
func checkDeltaRows(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.member("r", "ann", chat.RoleOwner) // revs 1 (the room) and 2
	for range 3 {
		w.post("r", "ann", "text", "") // 3, 4, 5
	}
	w.member("r", "bob", chat.RoleMember) // 6
	w.react("r", 3, "bob", "👍", true)     // 7
	w.react("r", 1, "bob", "👍", true)     // 8
	w.remove("r", 2)                      // 9
	w.commit()
	ann, bob := w.rooms["r"].members["ann"], w.rooms["r"].members["bob"]
	one, two, three := w.message("r", 1), w.message("r", 2), w.message("r", 3) // changed at 8, 9, 7
	for _, c := range []struct {
		after            chat.Rev
		limit            int
		created, changed []chat.Message
		members          []chat.Member
	}{
		{0, 10, []chat.Message{one, two, three}, []chat.Message{three, one, two}, []chat.Member{ann, bob}},
		{0, 1, []chat.Message{one}, []chat.Message{three}, []chat.Member{ann}},
		{3, 2, []chat.Message{two, three}, []chat.Message{three, one}, []chat.Member{bob}},
		{5, 10, nil, []chat.Message{three, one, two}, []chat.Member{bob}},
		{8, 10, nil, []chat.Message{two}, nil},
		{9, 10, nil, nil, nil},
		{99, 10, nil, nil, nil},
	} {
		got := get(d.DeltaRows(ctx, "r", c.after, store.Space{Items: c.limit}))(t)
		for i := range got.Changed { // reactions may be missing
			if m := &got.Changed[i]; m.Created > c.after {
				m.Reactions = w.message("r", m.Seq).Reactions
			}
		}
		what := fmt.Sprint(c.limit, " after ", c.after, ": ")
		same(t, what+"room", got.Room, w.rooms["r"].Room)
		same(t, what+"created", got.Created, c.created)
		same(t, what+"changed", got.Changed, c.changed)
		same(t, what+"members", got.Members, c.members)
	}
	_, err := d.DeltaRows(ctx, "absent", 0, store.Space{Items: 10})
	wantKind(t, err, chat.NotFound)
}

// checkDelta goes through each kind of change, one rev at a time.
func checkDelta(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	w.member("r", "ann", chat.RoleOwner) // revs 1 (the room) and 2
	w.post("r", "ann", "one", "")        // 3
	w.post("r", "ann", "two", "")        // 4
	w.member("r", "bob", chat.RoleMember)
	w.commit()
	w.edit("r", 1, "one, better")         // 6
	w.react("r", 2, "bob", "👍", true)     // 7
	w.member("r", "bob", chat.RoleNone)   // 8
	w.remove("r", 1)                      // 9
	w.rename("r", "title")                // 10
	w.post("r", "ann", "three", "")       // 11
	w.edit("r", 3, "three, better")       // 12
	w.member("r", "cid", chat.RoleBanned) // 13
	w.commit()

	ann, bob, cid := w.rooms["r"].members["ann"], w.rooms["r"].members["bob"], w.rooms["r"].members["cid"]
	one, two, three := w.message("r", 1), w.message("r", 2), w.message("r", 3) // revs 9, 7, 12
	for _, c := range []struct {
		after    chat.Rev
		messages []chat.Message
		members  []chat.Member
		info     bool
	}{
		{0, []chat.Message{two, one, three}, []chat.Member{ann, bob, cid}, true},
		{3, []chat.Message{two, one, three}, []chat.Member{bob, cid}, true},
		{6, []chat.Message{two, one, three}, []chat.Member{bob, cid}, true},
		{7, []chat.Message{one, three}, []chat.Member{bob, cid}, true},
		{8, []chat.Message{one, three}, []chat.Member{cid}, true},
		{9, []chat.Message{three}, []chat.Member{cid}, true},
		{10, []chat.Message{three}, []chat.Member{cid}, false},
		{11, []chat.Message{three}, []chat.Member{cid}, false}, // written at 11, edited at 12
		{12, nil, []chat.Member{cid}, false},
		{13, nil, nil, false},
	} {
		got := get(shard(t, d).Delta(ctx, "r", c.after, 100, 0))(t)
		what := fmt.Sprint("after ", c.after, ": ")
		same(t, what+"room", got.Room, w.rooms["r"].Room)
		same(t, what+"messages", got.Messages, c.messages)
		same(t, what+"members", got.Members, c.members)
		same(t, what+"rest", [4]any{got.After, got.Rev, got.Info, got.More}, [4]any{c.after, chat.Rev(13), c.info, false})
	}
}

func checkDeltaEdges(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	fill(w)
	w.commit()
	_, err := shard(t, d).Delta(ctx, "absent", 0, 10, 0)
	wantKind(t, err, chat.NotFound)
	r := w.rooms["r"].Room
	beyond := get(shard(t, d).Delta(ctx, "r", r.Rev+5, 10, 0))(t)
	same(t, "beyond the rev", beyond, chat.Delta{Room: r, After: r.Rev + 5, Rev: r.Rev, Reset: true})
	for limit := range 3 { // a limit of 0 goes on too
		c := newClient("r")
		for c.step(t, d, limit) {
		}
		c.compare(t, w)
	}
}

// checkDeltaLongRoom asks for a few news of a room with many messages, and for
// those of a time when there was much but messages.
func checkDeltaLongRoom(t *testing.T, d store.Driver) {
	w := newWorld(t, d)
	const n = 3000
	for i := range n {
		w.post("r", "ann", fmt.Sprint("message ", i+1), "")
	}
	w.commit()
	half := w.rooms["r"].Rev
	for i := range n { // as many revs without a message
		w.react("r", chat.Seq(1+i%7), "bob", fmt.Sprint("e", i%3), i%2 == 0)
	}
	w.commit()
	got := get(shard(t, d).Delta(ctx, "r", half-5, 100, 0))(t)
	same(t, "news", len(got.Messages), 5+7)
	same(t, "newest", got.Messages[4].Seq, chat.Seq(n))
	for _, after := range []chat.Rev{0, 1, half / 2, half - 1, half, half + 1, half + n - 1} {
		c := newClient("r")
		c.rev = after
		for c.step(t, d, 500) {
		}
		for seq := chat.Seq(1); seq <= n; seq++ {
			m := w.message("r", seq)
			if _, told := c.messages[seq]; told != (m.Rev > after) {
				t.Fatalf("after %d message %d (rev %d) told: %v", after, seq, m.Rev, told)
			}
		}
	}
}

// client is what a reader of deltas knows of a room.
type client struct {
	id       chat.RoomID
	rev      chat.Rev
	title    string
	open     bool
	messages map[chat.Seq]chat.Message
	members  map[chat.UserID]chat.Member
}

func newClient(id chat.RoomID) *client {
	return &client{id: id, messages: map[chat.Seq]chat.Message{}, members: map[chat.UserID]chat.Member{}}
}

// step reads one page and reports whether there are more.
func (c *client) step(t rapid.TB, d store.Driver, limit int) bool {
	t.Helper()
	return c.stepWithin(t, d, limit, 0)
}

// stepWithin is step with a bound in bytes.
func (c *client) stepWithin(t rapid.TB, d store.Driver, limit, bytes int) bool {
	t.Helper()
	p := get(shard(t, d).Delta(ctx, c.id, c.rev, limit, bytes))(t)
	size, items := 0, len(p.Messages)+len(p.Members)
	for i := range p.Messages {
		size += p.Messages[i].Size()
	}
	for i := range p.Members {
		size += p.Members[i].Size()
	}
	if bytes > 0 && size > bytes && items > 1 {
		t.Fatalf("%d items of %d bytes, the bound is %d", items, size, bytes)
	}
	if p.After != c.rev || p.More && p.Rev <= c.rev || !p.More && p.Rev != p.Room.Rev || p.Rev > p.Room.Rev {
		t.Fatalf("page after %d: after %d, rev %d of %d, more %v", c.rev, p.After, p.Rev, p.Room.Rev, p.More)
	}
	if n := max(limit, 1); len(p.Messages) > 3*n || len(p.Members) > 3*n {
		t.Fatalf("%d messages and %d members, the limit is %d", len(p.Messages), len(p.Members), limit)
	}
	last := c.rev
	for _, m := range p.Messages {
		if m.Rev <= last {
			t.Fatalf("messages after %d do not ascend: %d after %d", c.rev, m.Rev, last)
		}
		if m.Created > p.Rev || m.Created <= p.After && m.Rev > p.Rev {
			t.Fatalf("the page after %d is whole up to %d and has a message of a later one: %+v", c.rev, p.Rev, m)
		}
		last = m.Rev
		c.messages[m.Seq] = m
	}
	last = c.rev
	for _, m := range p.Members {
		if m.Rev <= last {
			t.Fatalf("members after %d do not ascend: %d after %d", c.rev, m.Rev, last)
		}
		if m.Rev > p.Rev {
			t.Fatalf("the page after %d is whole up to %d and has a member of a later one: %+v", c.rev, p.Rev, m)
		}
		last = m.Rev
		c.members[m.User] = m
	}
	if p.Info {
		c.title, c.open = p.Room.Title, p.Room.Open
	}
	c.rev = p.Rev
	return p.More
}

// compare says whether a client that is up to date knows what is.
func (c *client) compare(t rapid.TB, w *world) {
	t.Helper()
	r := w.rooms[c.id]
	same(t, "rev", c.rev, r.Rev)
	same(t, "title", c.title, r.Title)
	same(t, "policy", c.open, r.Open)
	same(t, "members", c.members, r.members)
	same(t, "number of messages", len(c.messages), len(r.messages))
	for seq, m := range c.messages {
		same(t, fmt.Sprint("message ", seq), m, w.message(c.id, seq))
	}
}

// checkDeltaModel makes random changes while clients read, each at its own
// pace and often not to the end. When a client is up to date, it knows exactly
// what the room is.
func checkDeltaModel(t *rapid.T, d store.Driver, run int) {
	id := chat.RoomID(fmt.Sprint("room ", run)) // one driver, a room for each run
	w := newWorld(t, d)
	w.room(id)
	w.commit()
	clients := []*client{newClient(id), newClient(id), newClient(id)}
	users := rapid.SampledFrom([]chat.UserID{"ann", "bob", "cid"})
	limits := rapid.SampledFrom([]int{1, 1, 2, 3, 5, 50})
	bounds := rapid.SampledFrom([]int{0, 0, 1, 300, 700, 2000})
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "write") {
			for range rapid.IntRange(1, 8).Draw(t, "changes") {
				randomChange(t, w, id, users.Draw(t, "user"))
			}
			w.commit()
			continue
		}
		c := rapid.SampledFrom(clients).Draw(t, "client")
		limit, bytes := limits.Draw(t, "limit"), bounds.Draw(t, "bytes")
		for range rapid.IntRange(1, 4).Draw(t, "pages") {
			if !c.stepWithin(t, d, limit, bytes) {
				c.compare(t, w)
				break
			}
		}
	}
	for _, c := range append(clients, newClient(id)) {
		limit, bytes := limits.Draw(t, "limit"), bounds.Draw(t, "bytes")
		for c.stepWithin(t, d, limit, bytes) {
		}
		c.compare(t, w)
	}
}

// randomChange changes something, and writes a message where there is none to
// change.
func randomChange(t *rapid.T, w *world, id chat.RoomID, user chat.UserID) {
	r := w.rooms[id]
	what := rapid.SampledFrom([]string{"post", "post", "edit", "remove", "react", "member", "rename"}).Draw(t, "what")
	switch what {
	case "member":
		w.member(id, user, chat.Role(rapid.IntRange(0, 4).Draw(t, "role")))
		return
	case "rename":
		w.rename(id, rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "title"))
		return
	}
	if what == "post" || r.LastSeq == 0 {
		w.post(id, user, "text", "")
		return
	}
	seq := chat.Seq(rapid.Int64Range(1, int64(r.LastSeq)).Draw(t, "seq"))
	switch {
	case r.messages[seq-1].Deleted:
		w.post(id, user, "text", "")
	case what == "edit":
		w.edit(id, seq, "edited")
	case what == "remove":
		w.remove(id, seq)
	default:
		w.react(id, seq, user, rapid.SampledFrom([]string{"👍", "🎉"}).Draw(t, "emoji"), rapid.Bool().Draw(t, "on"))
	}
}
