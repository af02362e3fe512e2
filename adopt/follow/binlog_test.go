package follow_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/follow/followtest"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
)

func TestBinlog(t *testing.T) {
	server := testdb.Start(t, testdb.Maria, withBinlog...)
	t.Run("statements", func(t *testing.T) { testStatements(t, server) })
	t.Run("structure", func(t *testing.T) { testStructure(t, server) })
	t.Run("purged", func(t *testing.T) { testPurged(t, server) })
	t.Run("watched", func(t *testing.T) { testWatched(t, server) })
	t.Run("another way", func(t *testing.T) { testAnotherWay(t, server) })
}

// A connection may write in a format that names no rows, and empty the table.
func testStatements(t *testing.T, server *testdb.Server) {
	s := subject(t, server, follow.Binlog)
	s.Config.Sweep = 20_000
	exec(t, s.DB, many(700))
	followtest.Follow(t, s, func(ctx context.Context) {
		conn, err := s.DB.Conn(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, statement := range []string{"SET SESSION binlog_format = 'STATEMENT'", "UPDATE messages SET body = 'by a statement' WHERE id > 600",
			"TRUNCATE TABLE messages", "SET SESSION binlog_format = 'ROW'", many(2)} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				t.Error(err)
			}
		}
	})
}

// A change of structure stops the follower behind the rows before it; an index does not.
// The structure is compared with the table as it is when the event is read, so each
// statement waits for what was read of the one before.
func testStructure(t *testing.T, server *testdb.Server) {
	s := subject(t, server, follow.Binlog)
	f := openAt(t, s.Config, beginAt(t, s.Config))
	exec(t, s.DB, "ALTER TABLE messages ADD INDEX (room)", many(1))
	keys, position, err := f.Next(t.Context())
	if err != nil || len(keys) != 1 || keys[0] != "1" {
		t.Fatalf("behind an index there are %q, %v", keys, err)
	}
	exec(t, s.DB, "ALTER TABLE messages ADD COLUMN extra INT FIRST", many(1))
	for {
		keys, at, err := f.Next(t.Context())
		if err != nil {
			if chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), "adopt check") {
				t.Fatal(err)
			}
			break
		}
		if position = at; len(keys) > 0 {
			t.Errorf("from behind the change of structure there are %q", keys)
		}
	}
	if keys := next(t, openAt(t, s.Config, position)); len(keys) != 1 || keys[0] != "2" {
		t.Errorf("behind the change of structure there are %q", keys)
	}
}

// Logs that were deleted before they were read are replaced by a comparison of all rows.
func testPurged(t *testing.T, server *testdb.Server) {
	s := subject(t, server, follow.Binlog)
	position := beginAt(t, s.Config)
	exec(t, s.DB, many(3), "FLUSH BINARY LOGS", many(1), "FLUSH BINARY LOGS")
	logs := binaryLogs(t, s.DB)
	last := logs[len(logs)-1]
	for end := time.Now().Add(followtest.Patience); logs[0] != last && time.Now().Before(end); { // once recovery does not need them
		exec(t, s.DB, "PURGE BINARY LOGS TO '"+last+"'")
		logs = binaryLogs(t, s.DB)
	}
	f := openAt(t, s.Config, position)
	if _, _, err := f.Next(t.Context()); chat.KindOf(err) != chat.NotFound || !strings.Contains(err.Error(), "binlog_expire_logs_seconds") {
		t.Errorf("without a sweep: %v", err)
	}
	s.Config.Sweep = 20_000
	f = openAt(t, s.Config, position)
	seen := map[source.Key]bool{}
	for len(seen) < 4 {
		for _, k := range next(t, f) {
			seen[k] = true
		}
	}
}

// binaryLogs returns the names of the server's logs, the oldest first. MySQL tells more of
// each than MariaDB.
func binaryLogs(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.Query("SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for err == nil && rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new(sql.RawBytes)
		}
		var name string
		row[0] = &name
		err = rows.Scan(row...)
		names = append(names, name)
	}
	if err = errors.Join(err, rows.Err()); err != nil || len(names) == 0 {
		t.Fatalf("the binary logs are %q: %v", names, err)
	}
	return names
}

// Rows of another table mark the message they belong to, before and after a change.
func testWatched(t *testing.T, server *testdb.Server) {
	for _, kind := range []follow.Kind{follow.Binlog, follow.Triggers} {
		s := subject(t, server, kind)
		exec(t, s.DB, "CREATE TABLE files (id INT AUTO_INCREMENT PRIMARY KEY, message BIGINT UNSIGNED, name TEXT)")
		s.Config.Watch = []follow.Watch{{Name: "files", Column: "message"}}
		if kind == follow.Triggers {
			if err := follow.Install(t.Context(), s.Config); err != nil {
				t.Fatal(err)
			}
		}
		position := beginAt(t, s.Config)
		exec(t, s.DB, "INSERT INTO files (message, name) VALUES (7, 'a'), (NULL, 'b')", "UPDATE files SET message = 8")
		f := openAt(t, s.Config, position)
		seen := map[source.Key]bool{}
		for len(seen) < 2 {
			for _, k := range next(t, f) {
				seen[k] = true
			}
		}
		if !seen["7"] || !seen["8"] {
			t.Errorf("%s: messages are %v", kind, seen)
		}
	}
}

// A position of one kind is one of no other: all rows are compared, and nothing is missed.
func testAnotherWay(t *testing.T, server *testdb.Server) {
	s := subject(t, server, follow.Polling)
	position := beginAt(t, s.Config)
	exec(t, s.DB, many(3))
	s.Config.Kind = follow.Binlog
	if _, err := follow.Open(t.Context(), s.Config, position); chat.KindOf(err) != chat.Invalid {
		t.Errorf("without a sweep: %v", err)
	}
	s.Config.Sweep = 20_000
	f := openAt(t, s.Config, position)
	seen := map[source.Key]bool{}
	for len(seen) < 3 {
		for _, k := range next(t, f) {
			seen[k] = true
		}
	}
}

func TestCheck(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			s := followed(t, testdb.Database(t, e), follow.Polling)
			choices, err := follow.Check(t.Context(), s.Config)
			if err != nil {
				t.Fatal(err)
			}
			if len(choices) != 3 || choices[0].Possible || len(choices[0].Missing) == 0 {
				t.Errorf("without a binary log: %+v", choices)
			}
			if !choices[1].Possible || choices[1].Ready || !choices[1].Recommended || !choices[2].Ready {
				t.Errorf("triggers and polling: %+v", choices[1:])
			}
			if kind, err := follow.Best(t.Context(), s.Config); err != nil || kind != follow.Polling {
				t.Errorf("the best is %s, %v", kind, err)
			}
			if err := follow.Install(t.Context(), s.Config); err != nil {
				t.Fatal(err)
			}
			if kind, err := follow.Best(t.Context(), s.Config); err != nil || kind != follow.Triggers {
				t.Errorf("with triggers the best is %s, %v", kind, err)
			}
		})
	}
	t.Run("binlog", func(t *testing.T) {
		server := testdb.Start(t, testdb.Maria, withBinlog...)
		s := subject(t, server, follow.Binlog)
		if kind, err := follow.Best(t.Context(), s.Config); err != nil || kind != follow.Binlog {
			t.Errorf("the best is %s, %v", kind, err)
		}
		exec(t, s.DB, "SET GLOBAL binlog_format = 'MIXED'")
		if _, err := follow.Begin(t.Context(), s.Config); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "MIXED") {
			t.Errorf("with binlog_format=MIXED: %v", err)
		}
		choices, err := follow.Check(t.Context(), followed(t, server.Database(), follow.Polling).Config)
		if err != nil || choices[0].Possible || !strings.Contains(strings.Join(choices[0].Missing, " "), "REPLICATION SLAVE") {
			t.Errorf("a user without rights: %+v, %v", choices, err)
		}
	})
}
