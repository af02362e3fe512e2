package follow_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/follow/followtest"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// open opens a database that is written to.
func open(t testing.TB, address string) (*sql.DB, source.Engine) {
	t.Helper()
	db, e, err := source.Dial(source.Address{DSN: address}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, e
}

// withBinlog are the settings of a server that has a binary log with rows.
var withBinlog = []string{"log-bin=binlog", "binlog-format=ROW", "server-id=1", "innodb_flush_log_at_trx_commit=2"}

// subject is a database on a server, with the table in it, and how it is followed.
func subject(t testing.TB, server *testdb.Server, kind follow.Kind) followtest.Subject {
	t.Helper()
	u, err := url.Parse(server.Database())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := url.Parse(server.Admin())
	if err != nil {
		t.Fatal(err)
	}
	u.User = admin.User // who may list transactions and read the log
	return followed(t, u.String(), kind)
}

func followed(t testing.TB, address string, kind follow.Kind) followtest.Subject {
	t.Helper()
	db, e := open(t, address)
	followtest.Table(t, db, e)
	return followtest.Subject{DB: db, Engine: e, Deletes: kind != follow.Polling, Config: follow.Config{
		Source: source.Address{DSN: address}, Kind: kind, Tables: []follow.Table{{Name: "messages", Key: "id"}},
		Interval: 20 * time.Millisecond, Settle: time.Second, Sweep: -1,
	}}
}

func TestSuite(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			var settings []string
			if e == testdb.Maria {
				settings = withBinlog
			}
			server := testdb.Start(t, e, settings...)
			for _, kind := range follow.Kinds {
				if kind == follow.Binlog && e != testdb.Maria {
					continue
				}
				t.Run(string(kind), func(t *testing.T) {
					s := subject(t, server, kind)
					s.Restart = func() { server.Kill(); server.Restart() }
					if kind == follow.Triggers {
						if err := follow.Install(t.Context(), s.Config); err != nil {
							t.Fatal(err)
						}
					}
					followtest.Run(t, s)
				})
			}
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "chat.db")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := followed(t, "sqlite:"+file, follow.Polling)
		s.DB.SetMaxOpenConns(1) // it has one writer at a time
		followtest.Run(t, s)
	})
}
