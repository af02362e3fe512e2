// Package followtest is the suite that every way to follow a table passes, against a
// real server that is written to meanwhile.
package followtest

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
)

// Patience is how long a follower may take on a slow machine.
const Patience = 2 * time.Minute

// Subject is what the suite runs against.
type Subject struct {
	DB      *sql.DB // writes to the table messages, which Table makes
	Engine  source.Engine
	Config  follow.Config
	Deletes bool   // deletions are seen
	Restart func() // kills the server and starts it again; nil: it is not

	Writers, Rows int           // at least 8, and 600
	Deaths        int           // with two of so many batches the follower is killed; 0: 24
	Longest       time.Duration // of a transaction; at least 300 ms
}

var tables = map[source.Engine]string{
	source.MySQL: "CREATE TABLE messages (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, room INT NOT NULL, body TEXT, " +
		"updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (updated_at)) ENGINE=InnoDB",
	source.Postgres: "CREATE TABLE messages (id bigserial PRIMARY KEY, room int NOT NULL, body text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp()); " +
		"CREATE INDEX ON messages (updated_at)",
	source.SQLite: "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, room INT NOT NULL, body TEXT, updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f'))); " +
		"CREATE INDEX messages_updated ON messages (updated_at)",
}

// Table makes the table that is written to and followed.
func Table(t testing.TB, db *sql.DB, e source.Engine) {
	t.Helper()
	for _, statement := range strings.Split(tables[e], "; ") {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

// Result is what a run came to.
type Result struct {
	Rows, Keys, Batches, Kills int
	Time                       time.Duration // until the copy was whole
}

// Run has writers write, some of whose transactions commit late or not at all, while the
// table is copied and followed, and the follower is killed now and then. In the end the
// copy has to be the same as the table.
func Run(t testing.TB, s Subject) Result {
	s.Writers, s.Rows = max(s.Writers, 8), max(s.Rows, 600)
	s.Longest = max(s.Longest, 300*time.Millisecond)
	var late *sql.Tx
	if s.Engine != source.SQLite { // which has one writer at a time
		late = begin(t.Context(), t, s.DB)
		insert(t.Context(), t, late, s.Engine, "late") // its key is the lowest, and it is committed last
	}
	return Follow(t, s, func(ctx context.Context) {
		s.write(ctx, t)
		if late != nil {
			commit(t, late)
		}
		if s.Restart != nil {
			s.Restart()
			repeat(ctx, t, s.DB, "INSERT INTO messages (room, body) VALUES (0, 'after the restart')")
		}
	})
}

// Follow copies the table and follows it while write runs, until the copy is the same as
// the table.
func Follow(t testing.TB, s Subject, write func(context.Context)) Result {
	ctx, cancel := context.WithTimeout(t.Context(), max(Patience, time.Duration(s.Rows)*10*time.Millisecond))
	defer cancel()
	if s.Deaths == 0 {
		s.Deaths = 24
	}
	began := time.Now()
	held := newReplica(t, s)
	position := held.begin(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		write(ctx)
	}()
	held.follow(ctx, position, done)
	r := Result{len(held.rows), held.keys, held.batches, held.kills, time.Since(began)}
	t.Logf("%d rows in %v; %d keys in %d batches, %d times killed", r.Rows, r.Time, r.Keys, r.Batches, r.Kills)
	return r
}

// write runs the writers.
func (s *Subject) write(ctx context.Context, t testing.TB) {
	var writers sync.WaitGroup
	for n := range s.Writers {
		writers.Go(func() { (&writer{s: s, n: n, ctx: ctx, t: t}).run() })
	}
	writers.Wait()
}
