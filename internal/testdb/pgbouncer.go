package testdb

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// PgBouncer returns the URL of a fresh, empty database of the shared PostgreSQL server
// as a PgBouncer of the test's own offers it, with a pool_mode.
func PgBouncer(t testing.TB, mode string) string {
	t.Helper()
	u, err := url.Parse(PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &bouncer{mode: mode}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pgbouncer on %s wrote:\n%s", b.addr, b.tail())
		}
		if err := b.remove(); err != nil {
			t.Errorf("pgbouncer: %v", err)
		}
	})
	if err := b.start(u); err != nil {
		t.Fatalf("pgbouncer cannot run: %v", err)
	}
	u.Host = b.addr
	return u.String()
}

// bouncer is a running PgBouncer with its directory.
type bouncer struct {
	mode string
	dir  *directory
	addr string
	proc *process
}

// start starts it before a database and returns when it listens.
func (b *bouncer) start(database *url.URL) (err error) {
	program, err := find("pgbouncer")
	if err != nil {
		return err
	}
	if b.dir, err = newDirectory(postgres{}.owner()); err != nil {
		return err
	}
	if b.addr, err = freeAddr(); err != nil {
		return err
	}
	file, err := b.configure(database)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "--quiet", file)
	cmd.Dir = b.dir.path
	if b.proc, err = spawn(cmd, b.dir.user, os.Kill); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-b.proc.ended:
			return fmt.Errorf("it ended by itself (%v):\n%s", b.proc.err, b.tail())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// configure writes its files and returns the path of the main one.
func (b *bouncer) configure(database *url.URL) (string, error) {
	host, port, err := net.SplitHostPort(b.addr)
	if err != nil {
		return "", err
	}
	password, _ := database.User.Password()
	users, main := filepath.Join(b.dir.path, "users"), filepath.Join(b.dir.path, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%s\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %s\nunix_socket_dir =\n"+
		"auth_type = scram-sha-256\nauth_file = %s\nlogfile = %s\npool_mode = %s\ndefault_pool_size = 60\nmax_client_conn = 200\n",
		database.Path[1:], database.Hostname(), database.Port(), host, port, users, b.logPath(), b.mode)
	return main, errors.Join(
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", database.User.Username(), password), 0o644),
		os.WriteFile(main, []byte(text), 0o644))
}

func (b *bouncer) logPath() string { return filepath.Join(b.dir.path, "log") }

func (b *bouncer) tail() string {
	if b.dir == nil {
		return ""
	}
	return tail(b.logPath())
}

func (b *bouncer) remove() error {
	var err error
	if b.proc != nil {
		err = b.proc.end(os.Kill)
	}
	if b.dir != nil {
		err = errors.Join(err, b.dir.remove())
	}
	return err
}
