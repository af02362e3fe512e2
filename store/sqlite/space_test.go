package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// rewrite commits n new versions of the one message of room r, 16 KB each: the
// write-ahead log grows by each, the file by one.
func rewrite(t *testing.T, s *Shard, n int) error {
	t.Helper()
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	for i := range n {
		text := strings.Repeat(string(rune('a'+i%26)), 16<<10)
		ch := &store.Changes{Update: []chat.Message{{Room: "r", Seq: 1, Rev: chat.Rev(2 + i), Text: text}}}
		if err := s.Commit(ctx, 0, at, ch); err != nil {
			return err
		}
		at = at.Next()
	}
	return nil
}

func walSize(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path + "-wal")
	must(t, err)
	return st.Size()
}

// On a disk that is nearly full the write-ahead log stays small, and grows again
// when there is space.
func TestNearlyFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, path)
	free := int64(1 << 40)
	must(t, s.db.inTurn(ctx, func(w *writer) error {
		s.db.free = func(string) (int64, bool) { return free, true }
		return nil
	}))
	look := func() { // the next commit looks at the space
		must(t, s.db.inTurn(ctx, func(w *writer) error {
			w.looked = time.Time{}
			return nil
		}))
	}
	hello(t, s, "r")
	must(t, rewrite(t, s, 200))
	if n := walSize(t, path); n < 3<<20 {
		t.Fatalf("with space the log has %d bytes", n)
	}
	free = 100 << 20
	look()
	must(t, rewrite(t, s, 200))
	if n := walSize(t, path); n > 2<<20 {
		t.Errorf("without space the log has %d bytes", n)
	}
	free = 300 << 20 // not so much that it would go back and forth
	look()
	must(t, rewrite(t, s, 200))
	if n := walSize(t, path); n > 2<<20 {
		t.Errorf("with little space the log has %d bytes", n)
	}
	free = 1 << 40
	look()
	must(t, rewrite(t, s, 200))
	if n := walSize(t, path); n < 3<<20 {
		t.Errorf("with space again the log has %d bytes", n)
	}
}
