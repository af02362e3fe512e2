package follow_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/follow/followtest"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
)

var rows = flag.Int("rows", 0, "rows of TestRace, which 24 writers write; 0: it is left out of a short run")

func exec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// many is a statement that inserts rows.
func many(n int) string {
	return "INSERT INTO messages (room, body) VALUES " + strings.TrimSuffix(strings.Repeat("(1, 'old'), ", n), ", ")
}

// What was changed where nothing tells it is found by the sweep.
func TestSweepFindsWhatNothingTells(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			s := followed(t, testdb.Database(t, e), follow.Polling)
			s.Config.Sweep = 20_000
			for range 3 {
				exec(t, s.DB, many(700))
			}
			followtest.Follow(t, s, func(context.Context) {
				exec(t, s.DB, "UPDATE messages SET body = 'silently changed' WHERE id IN (3, 700, 1201)",
					"DELETE FROM messages WHERE id BETWEEN 400 AND 420", "INSERT INTO messages (id, room, body) VALUES (405, 1, 'a key of long ago')")
			})
		})
	}
}

// A user without PROCESS sees no open transactions.
func TestPollingWithoutListingTransactions(t *testing.T) {
	followtest.Run(t, followed(t, testdb.MariaDB(t), follow.Polling))
}

func TestKeysWithoutOrder(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			address := testdb.Database(t, e)
			db, _ := open(t, address)
			c := follow.Config{Source: source.Address{DSN: address}, Kind: follow.Polling, Sweep: -1, Interval: 10 * time.Millisecond,
				Tables: []follow.Table{{Name: "messages", Key: "id"}}}
			exec(t, db, "CREATE TABLE messages (id CHAR(36) PRIMARY KEY, body TEXT, created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))")
			if _, err := follow.Begin(t.Context(), c); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "created_at") {
				t.Errorf("keys without an order are polled: %v", err)
			}
			exec(t, db, "CREATE INDEX messages_created ON messages (created_at)")
			position := beginAt(t, c)
			exec(t, db, "INSERT INTO messages (id, body) VALUES ('c', 'one')", "INSERT INTO messages (id, body) VALUES ('a', 'two')")
			f := openAt(t, c, position)
			var keys []source.Key
			for len(keys) < 2 {
				keys = append(keys, next(t, f)...)
			}
			if strings.TrimSpace(string(keys[0])) != "c" || strings.TrimSpace(string(keys[1])) != "a" {
				t.Errorf("keys are %q", keys)
			}
		})
	}
}

func beginAt(t testing.TB, c follow.Config) string {
	t.Helper()
	position, err := follow.Begin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func openAt(t testing.TB, c follow.Config, position string) follow.Follower {
	t.Helper()
	f, err := follow.Open(t.Context(), c, position)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func next(t testing.TB, f follow.Follower) []source.Key {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), followtest.Patience)
	defer cancel()
	keys, _, err := f.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestTouch(t *testing.T) {
	s := followed(t, testdb.MariaDB(t), follow.Polling)
	s.Config.Touches = follow.NewTouches()
	f := openAt(t, s.Config, beginAt(t, s.Config))
	if err := s.Config.Touches.Add("17", "17"); err != nil {
		t.Fatal(err)
	}
	if keys := next(t, f); len(keys) != 1 || keys[0] != "17" {
		t.Errorf("the touched keys are %q", keys)
	}
	for err := error(nil); err == nil; {
		var page []source.Key
		for n := range 10_000 {
			page = append(page, source.Key(fmt.Sprint(s.Config.Touches.Refused(), time.Now().UnixNano(), n)))
		}
		if err = s.Config.Touches.Add(page...); err != nil && chat.KindOf(err) != chat.Busy {
			t.Error(err)
		}
	}
}

// What an application is told after an INSERT is the key of its own row, not a number
// of the table of changes.
func TestTriggersLeaveTheLastKeyAlone(t *testing.T) {
	last := map[testdb.Engine]string{testdb.Maria: "SELECT LAST_INSERT_ID()", testdb.Postgres: "SELECT lastval()"}
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			s := followed(t, testdb.Database(t, e), follow.Triggers)
			exec(t, s.DB, many(3))
			if err := follow.Install(t.Context(), s.Config); err != nil {
				t.Fatal(err)
			}
			if err := follow.Install(t.Context(), s.Config); err != nil {
				t.Errorf("a second time: %v", err)
			}
			conn, err := s.DB.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for _, statement := range []string{"UPDATE messages SET body = 'x'", many(1)} {
				if _, err := conn.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			var id int
			if err := conn.QueryRowContext(t.Context(), last[e]).Scan(&id); err != nil || id != 4 {
				t.Errorf("the last key is %d, %v", id, err)
			}
			if removed, err := follow.Remove(t.Context(), s.Config); err != nil || len(removed) < 3 {
				t.Fatal(err)
			}
			exec(t, s.DB, many(1))
			if _, err := follow.Begin(t.Context(), s.Config); chat.KindOf(err) != chat.NotFound {
				t.Errorf("without triggers: %v", err)
			}
		})
	}
}

// TRUNCATE names no rows, and triggers of MySQL do not see it: the sweep does.
func TestTruncate(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			s := followed(t, testdb.Database(t, e), follow.Triggers)
			s.Config.Sweep = 20_000
			if err := follow.Install(t.Context(), s.Config); err != nil {
				t.Fatal(err)
			}
			exec(t, s.DB, many(700))
			followtest.Follow(t, s, func(context.Context) { exec(t, s.DB, "TRUNCATE TABLE messages", many(2)) })
		})
	}
}

// The race of many writers: -args -rows 100000 prints the figure.
func TestRace(t *testing.T) {
	if *rows == 0 {
		t.Skip("a long run: -args -rows 100000")
	}
	server := testdb.Start(t, testdb.Maria, withBinlog...)
	for _, kind := range follow.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := subject(t, server, kind)
			s.Writers, s.Rows, s.Longest, s.Deaths = 24, *rows, 3*time.Second, 400
			if kind == follow.Triggers {
				if err := follow.Install(t.Context(), s.Config); err != nil {
					t.Fatal(err)
				}
			}
			r := followtest.Run(t, s)
			fmt.Printf("%-8s 24 writers, %d rows in %v, %d times killed: 0 lost\n", kind, r.Rows, r.Time.Round(time.Second), r.Kills)
		})
	}
}
