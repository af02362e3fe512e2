package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// settings writes a file of settings into a new data dir.
func settings(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "roomtide.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refuses runs serve, which must not start and must say each of the words, but no
// password.
func refuses(t *testing.T, dir string, flags []string, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args := append([]string{"serve", "--listen", testprocess.FreeAddr(t), "--data-dir", dir}, flags...)
	out, errs, err := program.Run(ctx, args...)
	if err == nil || ctx.Err() != nil {
		t.Fatalf("serve %v ended with %v\n%s%s", flags, err, out, errs)
	}
	_, said, ok := strings.Cut(errs, "roomtide: ")
	if !ok {
		t.Fatalf("serve %v ended without a word: %s", flags, errs)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("no %q in: %s", w, said)
		}
	}
	for _, f := range flags {
		if u, err := url.Parse(f); err == nil && u.User != nil {
			if p, ok := u.User.Password(); ok && strings.Contains(out+errs, p) {
				t.Errorf("the password is shown: %s%s", out, errs)
			}
		}
	}
	t.Log(strings.TrimSpace(said))
}

// changed is a DSN with something else in it.
func changed(t *testing.T, dsn string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

// admin runs statements as the administrator of the shared server, in a database.
func admin(t *testing.T, e testdb.Engine, database string, statements ...string) {
	t.Helper()
	db := administrator(t, e, testdb.AdminOf(t, e), database)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// administrator connects to a database by the URL of a server's administrator.
func administrator(t *testing.T, e testdb.Engine, address, database string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	driver, dsn := "pgx", u.String()
	if e == testdb.Maria {
		password, _ := u.User.Password()
		driver, dsn = "mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s", u.User.Username(), password, u.Host, database)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// starts runs a node until it is ready, and ends it.
func starts(t *testing.T, dir string, flags ...string) {
	t.Helper()
	n := program.StartWith(t, dir, testprocess.FreeAddr(t), flags)
	n.Ready()
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Fatalf("the node ended with %d\n%s", code, n.Stderr())
	}
}

// alias returns another address of a server.
func alias(t *testing.T, addr string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				s, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer s.Close()
				go func() {
					_, _ = io.Copy(s, c) // until either side ends
					s.Close()
				}()
				_, _ = io.Copy(c, s)
			}()
		}
	}()
	return ln.Addr().String()
}

// Every mistake in the settings of a database ends the start with an error that says
// what to do.
func TestBadDatabases(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			dsn := testdb.Database(t, e)
			name := nameOf(t, dsn)
			at := func(change func(*url.URL)) []string { return []string{"--shard", changed(t, dsn, change)} }

			silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()

			for _, tt := range []struct {
				what  string
				flags []string
				words []string
			}{
				{"a wrong DSN", []string{"--shard", "chat:pw1234@tcp(127.0.0.1:3306)/chat"}, []string{"shards[0]", "not a URL", "mysql://user:password@host"}},
				{"an unknown kind", []string{"--shard", "oracle://chat:pw1234@127.0.0.1/chat"}, []string{"oracle", "not known"}},
				{"a wrong password", at(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "pw1234") }), []string{name, "password"}},
				{"no such user", at(func(u *url.URL) { u.User = url.UserPassword("nobody", "pw1234") }), []string{name, "user"}},
				{"no such database", at(func(u *url.URL) { u.Path = "/nowhere" }), []string{"nowhere"}},
				{"a port where nothing listens", at(func(u *url.URL) { u.Host = testprocess.FreeAddr(t) }), []string{"refused"}},
				{"a prefix that is no identifier", at(func(u *url.URL) { u.RawQuery = "prefix=x-y" }), []string{"shards[0]", "x-y", "no identifier"}},
				{"a shard listed twice", []string{"--shard", dsn, "--shard", dsn}, []string{"shards[1]", "listed twice"}},
				{"an unknown parameter", at(func(u *url.URL) { u.RawQuery = "colour=red" }), []string{"colour"}},
			} {
				t.Run(tt.what, func(t *testing.T) { refuses(t, t.TempDir(), tt.flags, tt.words...) })
			}

			t.Run("a server that does not answer", func(t *testing.T) {
				start := time.Now()
				dir := settings(t, fmt.Sprintf("[[shards]]\ndsn = %q\nconnect_timeout = '500ms'\n",
					changed(t, dsn, func(u *url.URL) { u.Host = silent.Addr().String() })))
				refuses(t, dir, nil, "does not answer")
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
			})
			t.Run("no rights", func(t *testing.T) {
				u, _ := url.Parse(dsn)
				database := strings.Trim(u.Path, "/")
				reader := "reader_" + database
				if e == testdb.Maria {
					admin(t, e, database, "CREATE USER "+reader+" IDENTIFIED BY 'pw1234'", "GRANT SELECT ON "+database+".* TO "+reader)
				} else {
					admin(t, e, database, "CREATE USER "+reader+" PASSWORD 'pw1234'", "GRANT CONNECT ON DATABASE "+database+" TO "+reader)
				}
				flags := at(func(u *url.URL) { u.User = url.UserPassword(reader, "pw1234") })
				refuses(t, t.TempDir(), flags, map[testdb.Engine]string{testdb.Maria: "CREATE", testdb.Postgres: "CREATE"}[e])
				starts(t, t.TempDir(), "--shard", dsn)
				refuses(t, t.TempDir(), flags, map[testdb.Engine]string{testdb.Maria: "UPDATE command denied", testdb.Postgres: "roomtide_"}[e])
				if e == testdb.Postgres {
					admin(t, e, database, "DROP OWNED BY "+reader, "DROP USER "+reader)
				}
			})
			t.Run("the same tables under two addresses", func(t *testing.T) {
				u, _ := url.Parse(dsn)
				other := changed(t, dsn, func(o *url.URL) { o.Host = alias(t, u.Host) })
				refuses(t, t.TempDir(), []string{"--shard", dsn, "--shard", other}, "listed twice, under two addresses")
				starts(t, t.TempDir(), "--shard", dsn) // nothing is left of the attempt
			})
		})
	}
}

// A database that is not what the node takes it for.
func TestForeignDatabases(t *testing.T) {
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			a, b := testdb.Database(t, e), testdb.Database(t, e)
			dir := t.TempDir()
			starts(t, dir, "--shard", a, "--shard", b)

			t.Run("a shard is missing", func(t *testing.T) {
				refuses(t, dir, []string{"--shard", a}, "the slot map names the shard "+nameOf(t, b), "[[shards]]")
			})
			t.Run("its address has changed", func(t *testing.T) {
				u, _ := url.Parse(b)
				moved := changed(t, b, func(o *url.URL) { o.Host = alias(t, u.Host) })
				refuses(t, dir, []string{"--shard", a, "--shard", moved}, "set its name to "+nameOf(t, b))
				starts(t, settings(t, fmt.Sprintf("[[shards]]\ndsn = %q\n[[shards]]\ndsn = %q\nname = %q\n", a, moved, nameOf(t, b))))
			})
			t.Run("of another deployment", func(t *testing.T) {
				other := t.TempDir()
				starts(t, other)
				refuses(t, other, []string{"--shard", a}, nameOf(t, a), "another deployment")
				refuses(t, t.TempDir(), []string{"--shard", b}, nameOf(t, b), "another deployment")
			})
			t.Run("in use by another node", func(t *testing.T) {
				n := program.StartWith(t, t.TempDir(), testprocess.FreeAddr(t), []string{"--shard", a, "--shard", b, "--node", "first"})
				n.Ready()
				refuses(t, t.TempDir(), []string{"--shard", a, "--shard", b, "--node", "second"}, "in use by node first")
				if status := n.WaitStatus("/readyz", 200); status != 200 {
					t.Errorf("the first node says %d", status)
				}
				n.Kill()
				starts(t, t.TempDir(), "--shard", a, "--shard", b, "--node", "second")
			})
			t.Run("newer than the program", func(t *testing.T) {
				u, _ := url.Parse(b)
				admin(t, e, strings.Trim(u.Path, "/"), "INSERT INTO roomtide_shard_version (version_id, is_applied) VALUES (9999, '1')")
				refuses(t, dir, []string{"--shard", a, "--shard", b}, nameOf(t, b), "newer than this program")
			})
		})
	}
}

// What can lose acknowledged messages is a warning, and an error when that is asked for.
func TestDurability(t *testing.T) {
	for e, setting := range map[testdb.Engine]string{
		testdb.Maria:    "innodb_flush_log_at_trx_commit=2",
		testdb.Postgres: "fsync=off",
	} {
		t.Run(string(e), func(t *testing.T) {
			s := testdb.Start(t, e, setting)
			name, _, _ := strings.Cut(setting, "=")
			dsn := s.Database()
			flags := []string{"--shard", dsn, "--shard", changed(t, dsn, func(u *url.URL) { u.RawQuery = "prefix=b_" })}
			refuses(t, t.TempDir(), append(flags, "--require-durable"), "require_durable", name)
			n := program.StartWith(t, t.TempDir(), testprocess.FreeAddr(t), flags)
			n.Ready()
			if got := strings.Count(n.Stderr(), "setting="+name); got != 1 {
				t.Errorf("%d warnings of %s:\n%s", got, name, n.Stderr())
			}
		})
	}
}
