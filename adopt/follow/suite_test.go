package follow_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/follow/followtest"
	"github.com/roomtide/roomtide/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// open opens a database by its URL.
func open(t testing.TB, address string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	driver, name := "sqlite", u.Path
	switch u.Scheme {
	case "postgres":
		driver, name = "pgx", address
	case "mysql":
		c := mysql.NewConfig()
		c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, u.Path[1:]
		c.Passwd, _ = u.User.Password()
		c.Logger = &mysql.NopLogger{}
		driver, name = "mysql", c.FormatDSN()
	case "sqlite":
		name += "?_pragma=busy_timeout(30000)&_pragma=journal_mode(wal)&_txlock=immediate"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var engines = map[testdb.Engine]follow.Engine{testdb.Maria: follow.MySQL, testdb.Postgres: follow.Postgres}

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
	return followed(t, open(t, u.String()), engines[server.Engine()], u.String(), kind)
}

func followed(t testing.TB, db *sql.DB, e follow.Engine, address string, kind follow.Kind) followtest.Subject {
	t.Helper()
	followtest.Table(t, db, e)
	return followtest.Subject{DB: db, Deletes: kind != follow.Polling, Config: follow.Config{
		DB: db, Engine: e, Address: address, Kind: kind, Table: follow.Table{Name: "messages", Key: "id"},
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
		address := "sqlite://" + filepath.Join(t.TempDir(), "chat.db")
		followtest.Run(t, followed(t, open(t, address), follow.SQLite, address, follow.Polling))
	})
}
