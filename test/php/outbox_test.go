package php

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/testdb"
)

// databases are those that the outbox knows; each function returns the environment that
// leads to a fresh one.
var databases = map[string]func(*testing.T) []string{
	"sqlite": func(t *testing.T) []string { return []string{"DSN=sqlite:" + filepath.Join(t.TempDir(), "shop.db")} },
	"mysql":  func(t *testing.T) []string { return dsn(t, testdb.MariaDB(t), "mysql", ";charset=utf8mb4") },
	"pgsql":  func(t *testing.T) []string { return dsn(t, testdb.PostgreSQL(t), "pgsql", "") },
}

// dsn is an address as PDO has it.
func dsn(t *testing.T, address, driver, more string) []string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return []string{
		"DSN=" + driver + ":host=" + u.Hostname() + ";port=" + u.Port() + ";dbname=" + strings.TrimPrefix(u.Path, "/") + more,
		"DB_USER=" + u.User.Username(), "DB_PASSWORD=" + password,
	}
}

func TestOutbox(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) { run(t, newSite(t).env(database(t)...), "outbox.php") })
	}
}

// Producers that are killed, and a node that is, lose and double nothing.
func TestOutboxExactlyOnce(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			env := s.env(database(t)...)
			run(t, env, "settle.php", "begin")
			var producers []*script
			for _, name := range []string{"a", "b", "c"} {
				producers = append(producers, start(t, env, "producer.php", name, "60"))
			}
			producers[0].after(10).kill()
			producers[1].after(20)
			s.restart()
			producers[2].after(40).kill()
			producers[1].end()
			run(t, env, "settle.php")
		})
	}
}

// A call whose time is not over is repeated until the node is back, and is made once.
func TestSendsWhileTheNodeIsKilled(t *testing.T) {
	s := newSite(t)
	sends := start(t, s.env(), "sends.php")
	for _, lines := range []int{20, 70, 120} {
		sends.after(lines)
		s.restart()
	}
	sends.end()
}
