package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdisk"
)

// The faults of disks that are full.

// disks are small ones, of one NATS server and of PostgreSQL.
type disks struct{ nats, postgres string }

// mount makes the disks. Not ok: the test has run in a process that may mount.
func mount(t *testing.T) (d disks, ok bool) {
	t.Helper()
	if d.nats, ok = testdisk.Small(t, 128); !ok { // the queue may take 64 MiB
		return d, false
	}
	d.postgres, ok = testdisk.Small(t, 256)
	return d, ok
}

func (d disks) store() string  { return filepath.Join(d.nats, "store") }
func (d disks) tables() string { return filepath.Join(d.postgres, "tables") }

// empty removes what a cluster has left.
func (d disks) empty(t *testing.T) {
	t.Helper()
	for _, dir := range []string{d.store(), d.tables()} {
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
