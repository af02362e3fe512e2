package mysql

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/store/sqldb"
)

const benchText = "A message of about the length that people write, which is a line or two; this one has about one hundred and twenty."

// benchBatch makes the rows of batches: messages with keys, spread over rooms, the rooms,
// and the outbox entry, as a lane commits them.
type benchBatch struct {
	rooms []chat.Room
	n     int64
}

func newBenchBatch(rooms int) *benchBatch {
	b := &benchBatch{}
	for i := range rooms {
		b.rooms = append(b.rooms, chat.Room{ID: chat.RoomID(fmt.Sprintf("room-%d", i)), Title: "a room", Open: true, Created: 1})
	}
	return b
}

func (b *benchBatch) next(size int) *store.Changes {
	ch := &store.Changes{Insert: make([]chat.Message, 0, size)}
	var entry store.Entry
	from := int(b.n)
	for i := range size {
		r := &b.rooms[(from+i)%len(b.rooms)]
		r.LastSeq++
		r.Rev++
		b.n++
		ch.Insert = append(ch.Insert, chat.Message{Room: r.ID, Seq: r.LastSeq, Rev: r.Rev, Created: r.Rev,
			User: chat.UserID(fmt.Sprintf("user-%d", i%len(b.rooms))), Text: benchText, Time: 1_700_000_000_000 + b.n,
			Key: fmt.Sprintf("019a-%08x-%012x", b.n, b.n*2654435761%(1<<40)), Digest: b.n})
	}
	for i := range min(size, len(b.rooms)) {
		r := b.rooms[(from+i)%len(b.rooms)]
		ch.Rooms = append(ch.Rooms, r)
		span := store.RoomSpan{Room: r.ID, From: r.Rev, To: r.Rev - 1, Seq: r.LastSeq}
		span.Add(chat.EventMessage, r.LastSeq)
		entry.Rooms = append(entry.Rooms, span)
	}
	ch.Outbox = entry.Encode()
	return ch
}

// bare writes the same rows with the bare driver, as it is used at its best through
// database/sql: a transaction with one INSERT of many rows for each table, in one packet
// each, with parameters filled in by the driver.
type bare struct {
	db *sql.DB
	at int64
}

func (w *bare) commit(ch *store.Changes) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	w.at++
	if _, err := tx.ExecContext(ctx, "UPDATE roomtide_lanes SET position = ? WHERE lane = 0 AND position = ?", w.at, w.at-1); err != nil {
		return err
	}
	insert := func(t *sqldb.Table, suffix string, n int, row func([]any, int) []any) error {
		var args []any
		for i := range n {
			args = row(args, i)
		}
		names := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			names[i] = c.Name
		}
		tuple := "(" + strings.TrimSuffix(strings.Repeat("?,", len(names)), ",") + ")"
		text := "INSERT INTO roomtide_" + t.Name + " (" + strings.Join(names, ",") + ") VALUES " +
			strings.TrimSuffix(strings.Repeat(tuple+",", n), ",") + suffix
		_, err := tx.ExecContext(ctx, text, args...)
		return err
	}
	set := make([]string, 0, len(sqldb.Rooms.Columns))
	for _, c := range sqldb.Rooms.Columns[2:] {
		set = append(set, c.Name+"=VALUES("+c.Name+")")
	}
	if err := insert(&sqldb.Rooms, " ON DUPLICATE KEY UPDATE "+strings.Join(set, ","), len(ch.Rooms), func(args []any, i int) []any {
		return sqldb.RoomValues(args, &ch.Rooms[i])
	}); err != nil {
		return err
	}
	if err := insert(&sqldb.Messages, "", len(ch.Insert), func(args []any, i int) []any {
		return sqldb.MessageValues(args, &ch.Insert[i])
	}); err != nil {
		return err
	}
	if err := insert(&sqldb.Outbox, "", 1, func(args []any, _ int) []any { return append(args, int64(0), w.at, ch.Outbox) }); err != nil {
		return err
	}
	return tx.Commit()
}

// BenchmarkAppend compares appending through the store with the bare driver: the same
// rows in the same tables of the same server, in turns. The server is as durable as its
// defaults: a commit is on disk when it is answered.
func BenchmarkAppend(b *testing.B) {
	server := testdb.Start(b, testdb.Maria, "innodb_log_file_size=1G", "innodb_buffer_pool_size=512M")
	for _, size := range []int{1, 16, 128, 512} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := open(b, sqldb.Options{Name: "shard", DSN: server.Database(), RequireDurable: true})
			at, err := s.Acquire(ctx, 0)
			must(b, err)
			other := open(b, sqldb.Options{Name: "bare", DSN: server.Database(), RequireDurable: true})
			_, err = other.Acquire(ctx, 0)
			must(b, err)
			w := &bare{db: other.db.pool}
			mine, theirs := newBenchBatch(50), newBenchBatch(50)
			var took [2]time.Duration
			for b.Loop() {
				ch, same := mine.next(size), theirs.next(size)
				began := time.Now()
				must(b, s.Commit(ctx, 0, at, ch))
				middle := time.Now()
				must(b, w.commit(same))
				took[0] += middle.Sub(began)
				took[1] += time.Since(middle)
				at = at.Next()
			}
			rate := func(i int) float64 { return float64(mine.n) / took[i].Seconds() }
			b.ReportMetric(rate(0), "store-rows/s")
			b.ReportMetric(rate(1), "driver-rows/s")
			b.ReportMetric(100*rate(0)/rate(1), "%")
			if os.Getenv("FLOORS") != "" && rate(0) < 0.6*rate(1) {
				b.Errorf("the store appends %.0f rows a second, the bare driver %.0f: less than 60 %%", rate(0), rate(1))
			}
		})
	}
}

// BenchmarkLatest reads the latest 10 messages of a short and of a long room.
func BenchmarkLatest(b *testing.B) {
	s := open(b, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(b)})
	at, err := s.Acquire(ctx, 0)
	must(b, err)
	for _, n := range []int{100, 1_000_000} {
		batch := newBenchBatch(1)
		batch.rooms[0].ID = chat.RoomID(fmt.Sprint("room of ", n))
		for batch.n < int64(n) {
			must(b, s.Commit(ctx, 0, at, batch.next(min(n, 1000))))
			at = at.Next()
		}
		b.Run(fmt.Sprint("messages=", n), func(b *testing.B) {
			for b.Loop() {
				ms, _, err := s.Messages(ctx, batch.rooms[0].ID, store.Page{Limit: 10})
				if err != nil || len(ms) != 10 {
					b.Fatal(len(ms), err)
				}
			}
		})
	}
}

// BenchmarkLoad looks up the keys of a batch of sends, which are new, as a lane does
// before it commits them.
func BenchmarkLoad(b *testing.B) {
	s := open(b, sqldb.Options{Name: "shard", DSN: testdb.MariaDB(b)})
	at, err := s.Acquire(ctx, 0)
	must(b, err)
	batch := newBenchBatch(50)
	for range 100 {
		must(b, s.Commit(ctx, 0, at, batch.next(500)))
		at = at.Next()
	}
	for _, size := range []int{1, 16, 128, 512} {
		b.Run(fmt.Sprintf("keys=%d", size), func(b *testing.B) {
			var need store.Need
			for i := range size {
				need.Keys = append(need.Keys, store.MessageKey{Room: batch.rooms[i%50].ID, User: chat.UserID(fmt.Sprintf("user-%d", i%50)), Key: fmt.Sprint("new ", i)})
			}
			for b.Loop() {
				st, err := s.Load(ctx, &need)
				if err != nil || len(st.Keys) > 0 {
					b.Fatal(st, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "us/key")
		})
	}
}
