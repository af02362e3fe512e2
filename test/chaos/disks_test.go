package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testdisk"
)

// The faults of disks that are full.

// disks are small ones: of one NATS server, and of the tables and the write-ahead log of PostgreSQL.
type disks struct{ nats, postgres, wal string }

// smallLog has PostgreSQL keep a log that fits on its disk.
var smallLog = []string{"max_wal_size=64MB", "min_wal_size=32MB"}

// mount makes the disks. Not ok: the test has run in a process that may mount.
func mount(t *testing.T) (d disks, ok bool) {
	t.Helper()
	if d.nats, ok = testdisk.Small(t, 128); !ok { // the queue may take 64 MiB
		return d, false
	}
	if d.postgres, ok = testdisk.Small(t, 256); !ok {
		return d, false
	}
	d.wal, ok = testdisk.Small(t, 192)
	return d, ok
}

func (d disks) store() string  { return filepath.Join(d.nats, "store") }
func (d disks) tables() string { return filepath.Join(d.postgres, "tables") }
func (d disks) log() string    { return filepath.Join(d.wal, "pg_wal") }

// empty removes what a cluster has left.
func (d disks) empty(t *testing.T) {
	t.Helper()
	for _, dir := range []string{d.store(), d.tables(), d.log()} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// full has a disk be full until something was not written, and returns whether that was
// so.
func (r *run) full(disk string, hit func() bool) (hits int) {
	filler := testdisk.Fill(r.t, disk)
	r.wait(r.outage())
	for deadline := time.Now().Add(time.Minute); !hit() && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
	if err := os.Remove(filler); err != nil {
		r.t.Fatal(err)
	}
	if hit() {
		return 1
	}
	return 0
}

// fillTables has PostgreSQL be unable to write more than it has space for already.
func (r *run) fillTables() int {
	refused := func() int { return r.c.Logged("the disk of the database is full") }
	before := refused()
	return r.full(r.disks.postgres, func() bool { return refused() > before })
}

// fillLog has PostgreSQL be unable to write its log, which ends the server. When there is space
// it is started again.
func (r *run) fillLog() int {
	s := r.c.SQL[slices.IndexFunc(r.c.SQL, func(s *testdb.Server) bool { return s.Engine() == testdb.Postgres })]
	panics := func() int { return s.Logged("No space left on device") }
	before := panics()
	filler := testdisk.Fill(r.t, r.disks.wal)
	admin := s.Open(s.Admin())
	defer admin.Close()
	for deadline := time.Now().Add(time.Minute); panics() == before && time.Now().Before(deadline); {
		// What is left of the log's files is used up. It fails when the server ends.
		_, _ = admin.ExecContext(r.t.Context(), "SELECT pg_logical_emit_message(true, 'full', ''), pg_switch_wal()")
	}
	r.wait(r.outage())
	if err := os.Remove(filler); err != nil {
		r.t.Fatal(err)
	}
	hits := panics() - before
	s.Kill()
	s.Restart()
	return hits
}

// fillStore has a queue server be unable to write what the others write, as a database is
// down. When there is space it is started again, as docs/operations.md says.
func (r *run) fillStore() int {
	const server = 2 // whose disk it is
	s := r.anySQL()
	s.Kill()
	hits := r.full(r.disks.nats, func() bool { return strings.Contains(r.c.NATS.Output(server), "no space left on device") })
	s.Restart()
	r.c.NATS.Kill(server)
	r.c.NATS.Restart(server)
	r.c.NATS.Settle()
	return hits
}
