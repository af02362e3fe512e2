package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// long is a shard with a long room, of which one message has many reactions, beside
// other rooms.
func long(t *testing.T, messages, reactions int) (*Shard, store.Position) {
	s := open(t, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(t), MaxConns: 1})
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	rev := map[chat.RoomID]chat.Rev{}
	commit := func(ch *store.Changes) {
		t.Helper()
		must(t, s.Commit(ctx, 0, at, ch))
		at = at.Next()
	}
	for _, room := range []chat.RoomID{"before", "long", "the next"} {
		n := messages
		if room != "long" {
			n = 100
		}
		for first := 1; first <= n; first += 1000 {
			var ch store.Changes
			for seq := first; seq < first+1000 && seq <= n; seq++ {
				rev[room]++
				ch.Insert = append(ch.Insert, chat.Message{Room: room, Seq: chat.Seq(seq), Rev: rev[room], Created: rev[room], User: "ann",
					Text: "a message", Time: int64(seq), Key: fmt.Sprint("key ", seq)})
				user := chat.UserID(fmt.Sprint("user ", seq))
				ch.Members = append(ch.Members, chat.Member{Room: room, User: user, Role: chat.RoleMember, Rev: rev[room]})
				ch.UserRooms = append(ch.UserRooms, store.UserRoom{User: user, Room: room, Role: chat.RoleMember},
					store.UserRoom{User: "ann", Room: chat.RoomID(fmt.Sprint(room, seq)), Role: chat.RoleMember})
			}
			last := chat.Seq(min(n, first+999))
			ch.Rooms = []chat.Room{{ID: room, LastSeq: last, Rev: rev[room], Members: int(last)}}
			ch.Outbox = []byte("entry")
			commit(&ch)
		}
	}
	for first := 0; first < reactions; first += 500 {
		var ch store.Changes
		for i := first; i < first+500; i++ {
			ch.Reactions = append(ch.Reactions, store.ReactionChange{On: true, Time: int64(i), ReactionKey: store.ReactionKey{
				Room: "long", Seq: chat.Seq(messages), Emoji: "👍", User: chat.UserID(fmt.Sprint("user ", i))}})
		}
		commit(&ch)
	}
	must(t, s.db.Exec(ctx, sqldb.Statement{Text: "ANALYZE TABLE {messages}, {members}, {reactions}, {reaction_counts}, {rooms}, {user_rooms}"}))
	return s, at
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rowsRead is how many rows and index entries the connection has read.
func rowsRead(t *testing.T, ask func(context.Context, ...sqldb.Question) error) (all int64) {
	t.Helper()
	must(t, ask(ctx, sqldb.Question{Text: "SHOW SESSION STATUS LIKE 'Handler_read_%'", Row: func(s sqldb.Scanner) error {
		var name string
		var n int64
		err := s.Scan(&name, &n)
		all += n
		return err
	}}))
	return all
}

// TestRowsRead counts what each question reads in a shard with a long room: about what
// it answers.
func TestRowsRead(t *testing.T) {
	const n, reactions = 20_000, 3_000
	s, at := long(t, n, reactions)
	room, err := s.Room(ctx, "long")
	must(t, err)
	for _, c := range []struct {
		what  string
		limit int64
		ask   func() error
	}{
		{"the latest 10", 30, func() error { _, _, err := s.Messages(ctx, "long", store.Page{Limit: 10}); return err }},
		{"10 before one", 30, func() error { _, _, err := s.Messages(ctx, "long", store.Page{Before: n / 2, Limit: 10}); return err }},
		{"10 after one", 30, func() error { _, _, err := s.Messages(ctx, "long", store.Page{After: n / 2, Limit: 10}); return err }},
		{"news of 5 revs", 60, func() error { _, err := s.DeltaRows(ctx, "long", room.Rev-5, store.Space{Items: 100}); return err }},
		{"news of half the room", 600, func() error { _, err := s.DeltaRows(ctx, "long", room.Rev/2, store.Space{Items: 100}); return err }},
		{"the room", 3, func() error { _, err := s.Room(ctx, "long"); return err }},
		{"heads", 24, func() error { _, err := s.Heads(ctx, []chat.RoomID{"long", "before", "absent"}); return err }},
		{"a member", 4, func() error { _, err := s.Member(ctx, "long", "user 7"); return err }},
		{"members", 30, func() error { _, err := s.Members(ctx, "long", chat.RoleNone, "user 5", 10); return err }},
		{"what is unread", 120, func() error {
			_, err := s.Others(ctx, []store.Range{{Room: "long", User: "bob", From: n - 100, To: n, First: true}})
			return err
		}},
		{"rooms of a user", 30, func() error { _, err := s.UserRooms(ctx, "ann", "long5", 10); return err }},
		{"rooms by id", 30, func() error { _, err := s.ListRooms(ctx, store.RoomFilter{Limit: 10}); return err }},
		{"all members", 30, func() error {
			_, err := s.AllMembers(ctx, store.MemberKey{Room: "long", User: "user 5"}, 10)
			return err
		}},
		{"messages of a user", 30, func() error {
			_, _, err := s.MessagesBy(ctx, "ann", store.MessageRef{Room: "long", Seq: n / 2}, 10)
			return err
		}},
		{"the outbox", 30, func() error { _, err := s.Outbox(ctx, 0, 3, 10); return err }},
		{"rows of a slot, and a few of each table behind", 150, func() error {
			_, _, err := s.SlotRows(ctx, chat.RoomID("long").Slot(), store.RowKey{Table: store.TableMessages, ID: "long", Seq: n / 2}, 10, 0)
			return err
		}},
	} {
		must(t, c.ask()) // MySQL reads its dictionary when a table is used for the first time
		before := rowsRead(t, s.db.Ask)
		must(t, c.ask())
		after := rowsRead(t, s.db.Ask)
		// SHOW STATUS reads rows of its own, the same each time.
		read := after - before - (rowsRead(t, s.db.Ask) - after)
		t.Logf("%s: %d rows read", c.what, read)
		if read > c.limit {
			t.Errorf("%s: %d rows read, at most %d are expected", c.what, read, c.limit)
		}
	}
	t.Run("writing", func(t *testing.T) { testRowsWritten(t, s, at, room) })
}

// testRowsWritten counts what commits read: nothing but rows they change.
func testRowsWritten(t *testing.T, s *Shard, at store.Position, room chat.Room) {
	read := func(what string, limit int64, ch *store.Changes) {
		t.Helper()
		before := rowsRead(t, s.w.Ask)
		must(t, s.Commit(ctx, 0, at, ch))
		at = at.Next()
		after := rowsRead(t, s.w.Ask)
		idle := rowsRead(t, s.w.Ask)
		n := after - before - (idle - after)
		t.Logf("%s: %d rows read", what, n)
		if n > limit {
			t.Errorf("%s: %d rows read, at most %d are expected", what, n, limit)
		}
	}
	room.LastSeq++
	room.Rev++
	read("a message", 4, &store.Changes{Rooms: []chat.Room{room}, Insert: []chat.Message{
		{Room: "long", Seq: room.LastSeq, Rev: room.Rev, Created: room.Rev, User: "ann", Text: "one more", Key: "another"}}})
	read("a reaction under a message that has many", 130, &store.Changes{Reactions: []store.ReactionChange{{On: true, Time: 1 << 40,
		ReactionKey: store.ReactionKey{Room: "long", Seq: room.LastSeq - 1, Emoji: "👍", User: "zoe"}}}})
	read("a reaction taken back", 130, &store.Changes{Reactions: []store.ReactionChange{{
		ReactionKey: store.ReactionKey{Room: "long", Seq: room.LastSeq - 1, Emoji: "👍", User: "zoe"}}}})
	need := &store.Need{Rooms: []chat.RoomID{"long"}}
	for i := range 50 {
		need.Members = append(need.Members, store.MemberKey{Room: "long", User: chat.UserID(fmt.Sprint("user ", 1+i*7))})
		need.Keys = append(need.Keys, store.MessageKey{Room: "long", User: "ann", Key: fmt.Sprint("key ", 1+i*7)})
		need.Messages = append(need.Messages, store.MessageRef{Room: "long", Seq: chat.Seq(1 + i*7)})
	}
	before := rowsRead(t, s.w.Ask)
	st, err := s.Load(ctx, need)
	must(t, err)
	if len(st.Members) != 50 || len(st.Keys) != 50 || len(st.Messages) != 50 {
		t.Errorf("loaded %d members, %d keys, %d messages", len(st.Members), len(st.Keys), len(st.Messages))
	}
	after := rowsRead(t, s.w.Ask)
	if n := after - before; n > 500 {
		t.Errorf("a load of 150 rows has read %d", n)
	}
}

// recorder is an Engine that keeps the questions.
type recorder struct {
	*database
	asked []sqldb.Question
}

func (r *recorder) Ask(ctx context.Context, qs ...sqldb.Question) error {
	r.asked = append(r.asked, qs...)
	return r.database.Ask(ctx, qs...)
}

// TestPlans shows the plans of the two statements that everything began with: insert a
// message, and the latest 10 of a room. Each table is read by one range of an index, and
// nothing is sorted.
func TestPlans(t *testing.T) {
	s, at := long(t, 3000, 500)
	r := &recorder{database: s.db}
	_, _, err := sqldb.NewReader("shard", r, r, r).Messages(ctx, "long", store.Page{Limit: 10})
	must(t, err)
	if len(r.asked) != 3 {
		t.Fatalf("a page is %d questions", len(r.asked))
	}
	for _, q := range r.asked {
		explain(t, s, q.Text, q.Args)
	}
	packets, err := s.db.packets(0, at, &store.Changes{Insert: []chat.Message{{Room: "long", Seq: 3001, Rev: 1, Created: 1, User: "ann", Key: "k"}}})
	must(t, err)
	if len(packets) != 1 {
		t.Fatalf("a commit is %d packets", len(packets))
	}
	c := commit{db: s.db}
	c.put(&store.Changes{Insert: []chat.Message{{Room: "long", Seq: 3001, Rev: 1, Created: 1, User: "ann", Key: "k"}}})
	c.add(fence, at.Epoch, at.N, at.Next().N, int64(0))
	for _, p := range c.parts {
		explain(t, s, p.text, p.args)
	}
}

// explain fails the test unless the plan of a statement is ranges of indexes.
func explain(t *testing.T, s *Shard, text string, args []any) {
	t.Helper()
	rows, err := s.db.pool.QueryContext(ctx, s.db.d.SQL("EXPLAIN FORMAT=TRADITIONAL "+text), args...)
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	t.Log(text)
	for rows.Next() {
		dest, row := make([]any, len(names)), make([]*string, len(names))
		for i := range dest {
			dest[i] = &row[i]
		}
		must(t, rows.Scan(dest...))
		plan := map[string]string{}
		for i, name := range names {
			if row[i] != nil {
				plan[name] = *row[i]
			}
		}
		t.Logf("  table %s: type %s, key %s, rows %s, extra %q", plan["table"], plan["type"], plan["key"], plan["rows"], plan["Extra"])
		if strings.HasPrefix(text, "INSERT") {
			continue // it reads nothing, whatever its type says
		}
		if !slices.Contains([]string{"const", "eq_ref", "ref", "range", "system"}, plan["type"]) || plan["key"] == "" ||
			strings.Contains(plan["Extra"], "filesort") || strings.Contains(plan["Extra"], "temporary") {
			t.Errorf("the plan of %s is no range of an index: %v", text, plan)
		}
	}
	must(t, rows.Err())
}
