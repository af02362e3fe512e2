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

// Producers that die between the answer of the server and their note of it, others that
// are killed anywhere, and a node that is, lose and double nothing.
func TestOutboxExactlyOnce(t *testing.T) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			env := s.env(database(t)...)
			run(t, env, "settle.php", "begin")
			start(t, env, "producer.php", "a", "1000000", "5").died()
			run(t, env, "settle.php", "expire")
			b, c := start(t, env, "producer.php", "b", "60", "0"), start(t, env, "producer.php", "c", "1000000", "0")
			b.after(15)
			s.restart()
			b.after(30)
			c.kill()
			run(t, env, "settle.php", "expire")
			b.end()
			start(t, env, "producer.php", "d", "1000000", "1").died()
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
