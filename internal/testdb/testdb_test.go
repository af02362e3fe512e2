package testdb

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// asChild makes the test binary start its servers, say so and wait.
const asChild = "ROOMTIDE_TESTDB_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		child()
		return
	}
	os.Exit(Main(m))
}

// open opens a URL and closes it when the test ends. Connections are not kept: they
// die with the server.
func open(t testing.TB, e Engine, url string) *sql.DB {
	t.Helper()
	db, err := engines[e].open(url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { db.Close() })
	return db
}

func exec1(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t testing.TB, db *sql.DB, question string) (n int) {
	t.Helper()
	if err := db.QueryRow(question).Scan(&n); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return n
}

func each(t *testing.T, run func(*testing.T, Engine)) {
	for _, e := range Engines {
		t.Run(string(e), func(t *testing.T) { run(t, e) })
	}
}

func TestDatabasesAreFreshAndApart(t *testing.T) {
	each(t, func(t *testing.T, e Engine) {
		var one string
		t.Run("one", func(t *testing.T) {
			one = Database(t, e)
			db := open(t, e, one)
			exec1(t, db, "CREATE TABLE messages (id INT PRIMARY KEY)")
			exec1(t, db, "INSERT INTO messages VALUES (1)")
			other := open(t, e, Database(t, e))
			exec1(t, other, "CREATE TABLE messages (id INT PRIMARY KEY)")
			if n := count(t, other, "SELECT COUNT(*) FROM messages"); n != 0 {
				t.Errorf("a fresh database holds %d rows", n)
			}
			own := count(t, db, "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'messages'")
			if own != 1 {
				t.Errorf("%d tables of that name are seen, want the own one", own)
			}
			if _, err := db.Exec(map[Engine]string{Maria: "CREATE DATABASE more", Postgres: "CREATE ROLE more"}[e]); err == nil {
				t.Error("the user of a database has rights outside of it")
			}
		})
		if err := open(t, e, one).Ping(); err == nil {
			t.Error("the database outlives its test")
		}
	})
}

func TestServerIsStoppedKilledPausedAndStarted(t *testing.T) {
	each(t, func(t *testing.T, e Engine) {
		s := Start(t, e)
		db := open(t, e, s.Database())
		exec1(t, db, "CREATE TABLE notes (id INT PRIMARY KEY)")

		exec1(t, db, "INSERT INTO notes VALUES (1)")
		s.Kill()
		refused(t, s.Addr())
		s.Restart()
		exec1(t, db, "INSERT INTO notes VALUES (2)")
		s.Stop()
		refused(t, s.Addr())
		s.Restart()
		s.Restart()

		s.Pause()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		if err := db.PingContext(ctx); err == nil {
			t.Error("a server that is halted answers")
		}
		s.Continue()
		if n := count(t, db, "SELECT COUNT(*) FROM notes"); n != 2 {
			t.Errorf("%d rows after all that, want 2", n)
		}
	})
}

func refused(t testing.TB, addr string) {
	t.Helper()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("%s accepts connections", addr)
	}
}

// Servers of a test's own are as durable as a careful operator's, and take settings.
func TestSettings(t *testing.T) {
	ask := func(t testing.TB, s *Server, question string) (value string) {
		t.Helper()
		if err := open(t, s.Engine(), s.Admin()).QueryRow(question).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	t.Run("mariadb", func(t *testing.T) {
		s := Start(t, Maria, "sync_binlog=7")
		for question, want := range map[string]string{
			"SELECT @@innodb_flush_log_at_trx_commit": "1", "SELECT @@sync_binlog": "7",
		} {
			if got := ask(t, s, question); got != want {
				t.Errorf("%s: %s, want %s", question, got, want)
			}
		}
	})
	t.Run("postgresql", func(t *testing.T) {
		s := Start(t, Postgres, "synchronous_commit=remote_write")
		for question, want := range map[string]string{
			"SHOW fsync": "on", "SHOW full_page_writes": "on", "SHOW synchronous_commit": "remote_write",
		} {
			if got := ask(t, s, question); got != want {
				t.Errorf("%s: %s, want %s", question, got, want)
			}
		}
	})
}

// child starts a server of each engine, prints where they are and waits for its end.
func child() {
	for _, e := range Engines {
		s, err := newServer(e, hasty[e])
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println(e, s.addr, s.pid(), s.dir.path)
	}
	fmt.Println("ready")
	select {}
}

// The servers of a test binary that is killed end as well, and what they leave behind
// can be removed.
func TestServersEndWithTheirTestBinary(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() //nolint:errcheck // it was killed
	defer cmd.Process.Kill()
	var pids []int
	var dirs []string
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || f[0] == "error" {
			t.Fatal(lines.Text())
		}
		pid, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		pids, dirs = append(pids, pid), append(dirs, f[3])
	}
	if len(pids) != len(Engines) {
		t.Fatalf("%d servers were started", len(pids))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for _, pid := range pids {
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d lives on", pid)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	for _, dir := range dirs {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := newDirectory("nobody")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(kept.path, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	sweep()
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if _, err := os.Stat(kept.path); err != nil {
		t.Errorf("a directory in use was removed: %v", err)
	}
	if err := kept.remove(); err != nil {
		t.Error(err)
	}
}
