package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// openFiles makes a data directory with so many shards.
func openFiles(t *testing.T, path string, shards int) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), NewDir(path, shards, quiet), nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// committer commits to a lane, again and again.
type committer struct {
	t     *testing.T
	shard *store.Shard
	lane  store.LaneID
	at    store.Position
}

func newCommitter(t *testing.T, s *store.Shard, lane store.LaneID) *committer {
	at, err := s.Acquire(context.Background(), lane)
	if err != nil {
		t.Fatal(err)
	}
	return &committer{t, s, lane, at}
}

func (c *committer) commit() time.Duration {
	start := time.Now()
	if err := c.shard.Commit(context.Background(), c.lane, c.at, &store.Changes{Outbox: []byte("x")}); err != nil {
		c.t.Error(err)
	}
	c.at = c.at.Next()
	return time.Since(start)
}

// One goroutine commits to the shards in turn, so that at every instant the first is as
// far as the second or one further, and so on; others keep all of them busy. That is
// how they stand in each snapshot.
func TestSnapshotIsOneInstant(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	const shards = 3
	st := openFiles(t, dir, shards)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	var longest time.Duration
	wg.Go(func() {
		var cs []*committer
		for _, s := range st.Shards() {
			cs = append(cs, newCommitter(t, s, 0))
		}
		for running() {
			for _, c := range cs {
				longest = max(longest, c.commit())
			}
		}
	})
	for _, s := range st.Shards() {
		wg.Go(func() {
			for c := newCommitter(t, s, 1); running(); {
				c.commit()
			}
		})
	}
	moved := map[int64]bool{}
	for range 12 {
		snap, err := NewDir(dir, 0, quiet).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		into := t.TempDir()
		var n []int64
		for _, f := range snap.Files() {
			var written int64
			if err := snap.Copy(t.Context(), f.Name, filepath.Join(into, f.Name), func(n int64) { written = n }); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(filepath.Join(into, f.Name)); err != nil || st.Size() != f.Bytes || written != f.Bytes || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: %d of %d bytes, told %d, mode %v, %v", f.Name, st.Size(), f.Bytes, written, st.Mode(), err)
			}
			if f.Name != ControlFile {
				n = append(n, f.Lanes[0].N)
			}
		}
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
		moved[n[0]] = true
		for i := range n {
			if n[i] > n[0] || n[i] < n[0]-1 || i > 0 && n[i] > n[i-1] {
				t.Errorf("the shards stand at %v", n)
			}
		}
		copied := openFiles(t, into, shards) // whole, and as described
		for i, s := range copied.Shards() {
			if at, err := s.Acquire(t.Context(), 0); err != nil || at.N != n[i] {
				t.Errorf("%s: %+v %v, described as %d", s.Name(), at, err, n[i])
			}
		}
		if lines, err := copied.Check(t.Context()); err != nil || lines != nil {
			t.Error(lines, err)
		}
		if err := copied.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if len(moved) < 6 {
		t.Errorf("only %d of the snapshots differ: nothing was committed meanwhile", len(moved))
	}
	t.Logf("the longest commit took %v", longest)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if err := snapshotOf(t, dir).Close(); err != nil { // a node that is stopped
		t.Error(err)
	}
}

func snapshotOf(t *testing.T, dir string) store.Snapshot {
	t.Helper()
	snap, err := NewDir(dir, 0, quiet).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// What is committed after the snapshot is not in the copy, though it was there before
// the copy began.
func TestCopyIsOfTheSnapshot(t *testing.T) {
	dir := t.TempDir()
	st := openFiles(t, dir, 1)
	defer st.Close()
	c := newCommitter(t, st.Shards()[0], 0)
	c.commit()
	snap := snapshotOf(t, dir)
	defer snap.Close()
	for range 50 {
		c.commit()
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := snap.Copy(t.Context(), "shard-0.db", path, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	copied := open(t, path)
	if rows, err := copied.Outbox(t.Context(), 0, 0, 99); err != nil || len(rows) != 1 {
		t.Errorf("%d entries, %v", len(rows), err)
	}
	if err := copied.Close(); err != nil {
		t.Error(err)
	}
}

func TestSnapshotRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewDir(dir, 1, quiet).Snapshot(t.Context()); chat.KindOf(err) != chat.NotFound {
		t.Errorf("no node has been here: %v", err)
	}
	st := openFiles(t, dir, 2)
	held := snapshotOf(t, dir)
	if err := held.Copy(t.Context(), "shard-9.db", filepath.Join(dir, "x"), nil); chat.KindOf(err) != chat.NotFound {
		t.Errorf("another file: %v", err)
	}
	if err := held.Copy(t.Context(), "shard-0.db", filepath.Join(dir, "shard-1.db"), nil); err == nil {
		t.Error("a file was overwritten")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := held.Copy(ctx, "shard-0.db", filepath.Join(dir, "y"), func(int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	gate := &writer{log: quiet}
	gate.dsn, _ = dataSource(filepath.Join(dir, "shard-1.db"), nil)
	if err := gate.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := gate.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 3*snapshotHold)
	defer cancel()
	if _, err := NewDir(dir, 0, quiet).Snapshot(ctx); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("a file that is never free: %v", err)
	}
	if err := errors.Join(gate.close(), st.Close(), os.Remove(filepath.Join(dir, "shard-1.db"))); err != nil {
		t.Fatal(err)
	}
	if _, err := NewDir(dir, 0, quiet).Snapshot(t.Context()); chat.KindOf(err) != chat.NotFound {
		t.Errorf("a shard is missing: %v", err)
	}
}
