package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

// recorder keeps the questions that are asked.
type recorder struct {
	*engine
	mu sync.Mutex
	qs []sqldb.Question
}

func (r *recorder) Ask(ctx context.Context, qs ...sqldb.Question) error {
	r.mu.Lock()
	r.qs = append(r.qs, qs...)
	r.mu.Unlock()
	return r.engine.Ask(ctx, qs...)
}

func (r *recorder) Snapshot(ctx context.Context, fn func(sqldb.Asker) error) error {
	return r.engine.Snapshot(ctx, func(a sqldb.Asker) error { return fn(recordedIn{r, a}) })
}

type recordedIn struct {
	r *recorder
	a sqldb.Asker
}

func (i recordedIn) Ask(ctx context.Context, qs ...sqldb.Question) error {
	i.r.qs = append(i.r.qs, qs...)
	return i.a.Ask(ctx, qs...)
}

// plan is what EXPLAIN (ANALYZE, FORMAT JSON) says of a node of a plan.
type plan struct {
	Node    string  `json:"Node Type"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Recheck float64 `json:"Rows Removed by Index Recheck"`
	Index   string  `json:"Index Name"`
	Plans   []plan  `json:"Plans"`
}

// each calls fn for every node.
func (p *plan) each(fn func(*plan)) {
	fn(p)
	for i := range p.Plans {
		p.Plans[i].each(fn)
	}
}

// explain runs a statement inside a transaction that is rolled back.
func explain(t testing.TB, c *pgx.Conn, text string, args []any) *plan {
	t.Helper()
	var raw []byte
	must(t, c.QueryRow(ctx, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) "+text, args...).Scan(&raw))
	var plans []struct{ Plan plan }
	must(t, json.Unmarshal(raw, &plans))
	return &plans[0].Plan
}

// bounded fails the test if a plan reads a table from its beginning, sorts, or looks at
// more rows of tables than it may.
func bounded(t testing.TB, text string, p *plan, rows float64, sorts bool) {
	t.Helper()
	read := 0.0
	p.each(func(n *plan) {
		switch n.Node {
		case "Seq Scan", "Bitmap Heap Scan", "Hash Join", "Merge Join":
			t.Errorf("%s\n%s", n.Node, text)
		case "Sort", "Incremental Sort":
			if !sorts {
				t.Errorf("%s\n%s", n.Node, text)
			}
		case "Index Scan", "Index Only Scan":
			read += (n.Rows + n.Removed + n.Recheck) * max(n.Loops, 1)
		}
	})
	if read > rows {
		b, _ := json.MarshalIndent(p, "", " ")
		t.Errorf("it reads %.0f rows, more than %.0f:\n%s\n%s", read, rows, text, b)
	}
}

const planMessages = 3000

// fill writes a few rooms, one of them long.
func fill(t testing.TB, s *Shard) {
	t.Helper()
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	commit := func(ch *store.Changes) {
		t.Helper()
		must(t, s.Commit(ctx, 0, at, ch))
		at = at.Next()
	}
	for n := 0; n < planMessages; n += 500 {
		ch := store.Changes{}
		for i := n + 1; i <= n+500; i++ {
			for _, room := range []chat.RoomID{"long", chat.RoomID(fmt.Sprintf("r%d", (i-1)%200))} {
				seq := chat.Seq(i)
				if room != "long" {
					seq = chat.Seq((i-1)/200 + 1)
				}
				ch.Insert = append(ch.Insert, chat.Message{Room: room, Seq: seq, Rev: chat.Rev(seq), Created: chat.Rev(seq),
					User: chat.UserID(fmt.Sprintf("u%d", i%300)), Text: "text", Key: fmt.Sprintf("k%d", i)})
			}
			u := chat.UserID(fmt.Sprintf("u%d", i))
			ch.Members = append(ch.Members, chat.Member{Room: "long", User: u, Role: chat.RoleMember, Rev: chat.Rev(i)})
			ch.UserRooms = append(ch.UserRooms, store.UserRoom{User: u, Room: "long", Role: chat.RoleMember})
			ch.Users = append(ch.Users, chat.User{ID: u, Name: "name"})
			ch.Reactions = append(ch.Reactions, store.ReactionChange{On: true, Time: int64(i),
				ReactionKey: store.ReactionKey{Room: "long", Seq: chat.Seq(1 + i%planMessages), Emoji: "👍", User: u}})
		}
		ch.Rooms = []chat.Room{{ID: "long", LastSeq: chat.Seq(n + 500), Rev: chat.Rev(n + 500), Members: n + 500}}
		for i := range 200 {
			ch.Rooms = append(ch.Rooms, chat.Room{ID: chat.RoomID(fmt.Sprintf("r%d", i)), LastSeq: 1, Rev: 1})
		}
		commit(&ch)
	}
	commit(&store.Changes{
		Rooms:  []chat.Room{{ID: "long", LastSeq: planMessages, Rev: planMessages + 1, Members: planMessages}},
		Update: []chat.Message{{Room: "long", Seq: 7, Rev: planMessages + 1, Text: "edited"}},
	})
}

// Every question has its index: it reads what it answers and little more, whether the
// database has statistics or not, and whatever was there when it was planned.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name, params   string
		early, analyze bool // the questions are planned while tables are empty; there are statistics
	}{{"planned early", "", true, false}, {"no statistics", "", false, false}, {"statistics", "", false, true}, {"pooled", "?default_query_exec_mode=exec", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t) + c.params, MaxConns: 1})
			execSQL(t, s.reads.db, "SELECT 1")
			if c.early {
				for _, q := range planQuestions {
					ask(t, s, q.ask)
				}
			}
			fill(t, s)
			if c.analyze {
				execSQL(t, s.reads.db, "ANALYZE")
			}
			questions := planQuestions
			if c.params != "" { // the planner weighs what it does for the others
				questions = questions[:seedQuestions]
			}
			for _, q := range questions {
				t.Run(q.name, func(t *testing.T) {
					for _, asked := range ask(t, s, q.ask) {
						must(t, s.reads.with(ctx, func(conn *pgx.Conn) error {
							text := s.reads.sql(asked.Text)
							bounded(t, text, explain(t, conn, text, asked.Args), q.rows, q.sorts)
							return nil
						}))
					}
				})
			}
		})
	}
}

// ask records what a call asks.
func ask(t testing.TB, s *Shard, call func(*sqldb.Reader) error) []sqldb.Question {
	t.Helper()
	rec := &recorder{engine: s.reads}
	if err := call(sqldb.NewReader("main", rec, rec, rec)); err != nil && chat.KindOf(err) != chat.NotFound {
		t.Fatal(err)
	}
	if len(rec.qs) == 0 {
		t.Fatal("nothing was asked")
	}
	return rec.qs
}

// seedQuestions is how many of planQuestions are pages of messages.
const seedQuestions = 3

// planQuestions are calls, and how many rows of tables each of their questions may look
// at.
var planQuestions = []struct {
	name  string
	rows  float64
	sorts bool
	ask   func(*sqldb.Reader) error
}{
	{"latest 10", 36, false, func(r *sqldb.Reader) error { _, _, err := r.Messages(ctx, "long", store.Page{Limit: 10}); return err }},
	{"before", 36, false, func(r *sqldb.Reader) error {
		_, _, err := r.Messages(ctx, "long", store.Page{Before: 1500, Limit: 10})
		return err
	}},
	{"after", 36, false, func(r *sqldb.Reader) error {
		_, _, err := r.Messages(ctx, "long", store.Page{After: 1500, Limit: 10})
		return err
	}},
	{"room", 1, false, func(r *sqldb.Reader) error { _, err := r.Room(ctx, "long"); return err }},
	{"heads", 60, false, func(r *sqldb.Reader) error { _, err := r.Heads(ctx, many("r")); return err }},
	{"rooms by id", 12, false, func(r *sqldb.Reader) error { _, err := r.ListRooms(ctx, store.RoomFilter{Limit: 10}); return err }},
	{"member", 2, false, func(r *sqldb.Reader) error { _, err := r.Member(ctx, "long", "u7"); return err }},
	{"members", 24, false, func(r *sqldb.Reader) error { _, err := r.Members(ctx, "long", chat.RoleNone, "u7", 10); return err }},
	{"user rooms", 10, false, func(r *sqldb.Reader) error { _, err := r.UserRooms(ctx, "u7", "", 10); return err }},
	{"delta", 80, false, func(r *sqldb.Reader) error {
		_, err := r.DeltaRows(ctx, "long", planMessages-10, store.Space{Items: 20})
		return err
	}},
	{"far delta", 120, false, func(r *sqldb.Reader) error {
		_, err := r.DeltaRows(ctx, "long", 1000, store.Space{Items: 20})
		return err
	}},
	{"all members", 12, false, func(r *sqldb.Reader) error {
		_, err := r.AllMembers(ctx, store.MemberKey{Room: "long", User: "u7"}, 10)
		return err
	}},
	{"load", 60, false, func(r *sqldb.Reader) error {
		need := store.Need{Rooms: append(many("r"), "long")}
		for i := range 30 {
			u := chat.UserID(fmt.Sprintf("u%d", i+1))
			need.Members = append(need.Members, store.MemberKey{Room: "long", User: u})
			need.Keys = append(need.Keys, store.MessageKey{Room: "long", User: u, Key: fmt.Sprintf("k%d", i+1)})
			need.Messages = append(need.Messages, store.MessageRef{Room: "long", Seq: chat.Seq(i + 1)})
			need.Emoji = append(need.Emoji, store.MessageRef{Room: "long", Seq: chat.Seq(i + 1)})
			need.UserRooms = append(need.UserRooms, store.UserRoomKey{User: u, Room: "long"})
			need.Users = append(need.Users, u)
			need.Reactions = append(need.Reactions, store.ReactionKey{Room: "long", Seq: chat.Seq(i + 2), Emoji: "👍", User: u})
		}
		_, err := r.Load(ctx, &need)
		return err
	}},
	{"outbox", 0, false, func(r *sqldb.Reader) error { _, err := r.Outbox(ctx, 0, 5, 10); return err }},
}

func many(prefix string) (ids []chat.RoomID) {
	for i := range 30 {
		ids = append(ids, chat.RoomID(fmt.Sprintf("%s%d", prefix, i)))
	}
	return ids
}

// What a commit writes costs what it writes.
func TestPlansOfWrites(t *testing.T) {
	s := open(t, sqldb.Options{Name: "main", DSN: testdb.PostgreSQL(t)})
	fill(t, s)
	b := batch{e: s.lane}
	const n = planMessages
	b.changes(&store.Changes{
		Rooms:     []chat.Room{{ID: "long", LastSeq: n + 1, Rev: n + 3}},
		Insert:    []chat.Message{{Room: "long", Seq: n + 1, Rev: n + 2, Created: n + 2, User: "ann", Text: "text", Key: "key"}},
		Update:    []chat.Message{{Room: "long", Seq: 8, Rev: n + 3, Text: "edited"}, {Room: "long", Seq: 9, Rev: n + 3, Text: "edited"}},
		Members:   []chat.Member{{Room: "long", User: "u8", Role: chat.RoleModerator, Rev: n + 3}},
		UserRooms: []store.UserRoom{{User: "u8", Room: "long", Role: chat.RoleModerator}},
		Unreact:   []store.MessageRef{{Room: "long", Seq: 8}, {Room: "long", Seq: 9}},
		Reactions: []store.ReactionChange{
			{On: true, Time: 1, ReactionKey: store.ReactionKey{Room: "long", Seq: 11, Emoji: "👍", User: "ann"}},
			{ReactionKey: store.ReactionKey{Room: "long", Seq: 12, Emoji: "👍", User: "u11"}},
		},
	})
	b.outbox(0, n, &store.Changes{Outbox: []byte{1}, Cursors: []store.Cursor{{Consumer: "c", Position: 1}}})
	must(t, s.lane.with(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		must(t, err)
		for _, q := range b.QueuedQueries {
			bounded(t, q.SQL, explain(t, conn, q.SQL, q.Arguments), 8, true)
		}
		return tx.Rollback(ctx)
	}))
}
