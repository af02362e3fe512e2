package testdb

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// PgBouncer starts a PgBouncer before the database of a URL of this package and returns the
// URL of the same database through it. mode is its pool_mode.
func PgBouncer(t testing.TB, address, mode string) string {
	t.Helper()
	program, err := find("pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	listen := testprocess.FreeAddr(t)
	listenHost, listenPort, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	name := u.Path[1:]
	password, _ := u.User.Password()
	config := fmt.Sprintf("[databases]\n%s = host=%s port=%s dbname=%s user=%s password=%s\n"+
		"[pgbouncer]\nlisten_addr = %s\nlisten_port = %s\nunix_socket_dir =\nauth_type = any\npool_mode = %s\ndefault_pool_size = 20\nmax_client_conn = 200\n",
		name, host, port, name, u.User.Username(), password, listenHost, listenPort, mode)
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{file}
	if os.Geteuid() == 0 { // it does not run as root
		args = []string{"-u", "postgres", file}
	}
	p := testprocess.Spawn(t, exec.Command(program, args...))
	u.Host = listen
	db, err := engines[Postgres].open(u.String() + "?default_query_exec_mode=exec")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for end := time.Now().Add(patience); ; {
		err := db.PingContext(t.Context())
		if err == nil {
			return u.String()
		}
		select {
		case <-p.Ended():
			t.Fatalf("pgbouncer has ended:\n%s", p.Output())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("pgbouncer does not answer: %v\n%s", err, p.Output())
		}
	}
}
