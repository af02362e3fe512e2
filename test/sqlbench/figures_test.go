// Package sqlbench measures the drivers for SQL databases on real, durable servers:
// what the store makes of batched appends beside the bare driver with the same rows,
// and what the newest page of a room costs in a long room and in a short one. Both sides
// of each ratio are measured in turn, in one run. "make bench-sql" prints the figures
// and holds the ratios to their bounds; otherwise the tests run the same code on a few rows, without judging them.
package sqlbench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testfigures"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/mysql"
	"github.com/roomtide/roomtide/store/postgres"
	"github.com/roomtide/roomtide/store/sqldb"
	"github.com/roomtide/roomtide/store/sqlite"
)

// The bounds of the ratios.
const (
	leastOfBare   = 0.60 // of the rows a second of the bare driver
	mostInLong    = 1.3  // times the cost in a short room
	shortRoom     = 100
	longRoom      = 1_000_000
	longRoomSmoke = 2_000
)

var ctx = context.Background()

// settings are those of the servers, beside what makes a commit durable by default. The
// logs are large enough not to be what is measured.
var settings = map[testdb.Engine][]string{
	testdb.Maria:    {"innodb_log_file_size=1G", "innodb_buffer_pool_size=512M"},
	testdb.Postgres: {"max_wal_size=4GB", "shared_buffers=512MB"},
}

// durable is what the servers are asked, to be named beside the figures.
var durable = map[testdb.Engine]string{
	testdb.Maria:    "MariaDB: innodb_flush_log_at_trx_commit=1, log_bin=off",
	testdb.Postgres: "PostgreSQL: fsync=on, synchronous_commit=on, full_page_writes=on",
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// open opens a shard in a database of its own.
func open(t testing.TB, e testdb.Engine, dsn string) store.Driver {
	t.Helper()
	o := sqldb.Options{Name: "main", DSN: dsn, Node: "bench", RequireDurable: true}
	var d store.Driver
	var err error
	if e == testdb.Maria {
		d, err = mysql.Open(ctx, o, true)
	} else {
		d, err = postgres.Open(ctx, o, true)
	}
	must(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestAppends(t *testing.T) {
	testfigures.Row("engine", "messages in a batch", "store, rows/s", "bare driver, rows/s", "store / bare")
	testfigures.Row("---", "---", "---", "---", "---")
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			server := testdb.Start(t, e, settings[e]...)
			d := newStoreAppender(t, open(t, e, server.Database()))
			b := newBare(t, e, server.Database())
			for _, n := range []int{10, 100, 400} {
				commits := 40_000 / n
				if !*testfigures.Wanted {
					commits = 2
				}
				s, r := side{append: d.append}, side{append: b.append}
				for range commits { // by turns, so that both see the same machine
					s.commit(n)
					r.commit(n)
				}
				ratio := r.took.Seconds() / s.took.Seconds()
				testfigures.Row(e, n, s.rate(n, commits), r.rate(n, commits), fmt.Sprintf("%.2f", ratio))
				if *testfigures.Wanted && n == 100 && ratio < leastOfBare {
					t.Errorf("%s: the store appends %.2f times what the bare driver does, less than %.2f", e, ratio, leastOfBare)
				}
			}
		})
	}
	for _, e := range testdb.Engines {
		testfigures.Row(durable[e])
	}
}

// side is one of two that append the same.
type side struct {
	append func(n int)
	took   time.Duration
}

func (s *side) commit(n int) {
	began := time.Now()
	s.append(n)
	s.took += time.Since(began)
}

// rate is how many rows are appended in a second.
func (s *side) rate(n, commits int) string {
	return fmt.Sprintf("%.0f", float64(n*commits)/s.took.Seconds())
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// rooms is over how many rooms the messages of appends are spread.
const rooms = 200

// text is the body of a message.
const text = "a message of about a hundred characters, as they are in a chat where one says something to the others"

// rows makes the next n messages, by turns in the rooms, and the rows of these rooms.
type rows struct {
	n    int
	last [rooms]chat.Seq
}

func (r *rows) next(n int) (ms []chat.Message, changed []chat.Room) {
	touched := map[int]bool{}
	for range n {
		i := r.n % rooms
		r.n++
		r.last[i]++
		touched[i] = true
		seq := r.last[i]
		ms = append(ms, chat.Message{Room: roomID(i), Seq: seq, Rev: chat.Rev(seq), Created: chat.Rev(seq), User: "user-1234567", Name: "Ann Other",
			Text: text, Time: 1_700_000_000_000 + int64(r.n), Key: fmt.Sprintf("0123456789abcdef-%08d", r.n), Digest: int64(r.n) * 7919})
	}
	for i := range touched {
		changed = append(changed, chat.Room{ID: roomID(i), Title: "A room", LastSeq: r.last[i], Rev: chat.Rev(r.last[i]), Members: 10, Active: int64(r.n)})
	}
	return ms, changed
}

func roomID(i int) chat.RoomID { return chat.RoomID(fmt.Sprintf("room-%04d", i)) }

// outbox is an entry of about the size that such a batch leaves.
func outbox(n int) []byte { return make([]byte, 200*n) }

// storeAppender appends as a lane does.
type storeAppender struct {
	t  testing.TB
	d  store.Driver
	at store.Position
	r  rows
}

func newStoreAppender(t testing.TB, d store.Driver) *storeAppender {
	t.Helper()
	at, err := d.Acquire(ctx, 0)
	must(t, err)
	return &storeAppender{t: t, d: d, at: at}
}

func (a *storeAppender) append(n int) {
	ms, changed := a.r.next(n)
	must(a.t, a.d.Commit(ctx, 0, a.at, &store.Changes{Insert: ms, Rooms: changed, Outbox: outbox(n)}))
	a.at = a.at.Next()
}

func TestLatest(t *testing.T) {
	testfigures.Row("engine", "messages in the room", "p50 of its newest 10", "p99", "p50 to that of 100")
	testfigures.Row("---", "---", "---", "---", "---")
	drivers := map[string]func(testing.TB) store.Driver{
		"sqlite": func(t testing.TB) store.Driver {
			d, err := sqlite.Open(ctx, t.TempDir()+"/shard.db", slog.New(slog.DiscardHandler))
			must(t, err)
			t.Cleanup(func() { d.Close() })
			return d
		},
	}
	names := []string{"sqlite"}
	for _, e := range testdb.Engines {
		names = append(names, string(e))
		drivers[string(e)] = func(t testing.TB) store.Driver {
			return open(t, e, testdb.Start(t, e, settings[e]...).Database())
		}
	}
	long, asked := longRoom, 3000
	if !*testfigures.Wanted {
		long, asked = longRoomSmoke, 20
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			d := drivers[name](t)
			a := newStoreAppender(t, d)
			fillRoom(a, "short", shortRoom)
			fillRoom(a, "long", long)
			took := map[chat.RoomID][]float64{}
			for range asked { // by turns, so that both see the same machine
				for _, room := range []chat.RoomID{"short", "long"} {
					began := time.Now()
					ms, _, err := d.Messages(ctx, room, store.Page{Limit: 10})
					took[room] = append(took[room], float64(time.Since(began).Microseconds()))
					must(t, err)
					if len(ms) != 10 {
						t.Fatalf("%d messages", len(ms))
					}
				}
			}
			s, l := median(took["short"]), median(took["long"])
			p99 := func(of []float64) string { return fmt.Sprintf("%.0f us", of[len(of)*99/100]) }
			testfigures.Row(name, shortRoom, fmt.Sprintf("%.0f us", s), p99(took["short"]), 1)
			testfigures.Row(name, long, fmt.Sprintf("%.0f us", l), p99(took["long"]), fmt.Sprintf("%.2f", l/s))
			if *testfigures.Wanted && l > mostInLong*s {
				t.Errorf("%s: in the long room it takes %.2f times as long, more than %.1f", name, l/s, mostInLong)
			}
		})
	}
}

// fillRoom writes a room of n messages.
func fillRoom(a *storeAppender, room chat.RoomID, n int) {
	const most = 1000
	for done := 0; done < n; {
		ch := store.Changes{}
		for range min(most, n-done) {
			done++
			seq := chat.Seq(done)
			ch.Insert = append(ch.Insert, chat.Message{Room: room, Seq: seq, Rev: chat.Rev(seq), Created: chat.Rev(seq), User: "user-1234567",
				Name: "Ann Other", Text: text, Time: 1_700_000_000_000 + int64(done)})
		}
		ch.Rooms = []chat.Room{{ID: room, LastSeq: chat.Seq(done), Rev: chat.Rev(done)}}
		must(a.t, a.d.Commit(ctx, 0, a.at, &ch))
		a.at = a.at.Next()
	}
}
