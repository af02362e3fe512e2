package sqlite

import (
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// No file may grow beyond a megabyte, as on a disk with no more space: what stops is
// the write-ahead log, long before the file. It is copied, and writing goes on, until
// the file itself is full; then only that is refused, and when there is space again
// all is well.
func TestFullOfWriteAheadLog(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	hello(t, s, "r")
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: was.Max}))
	lifted := false
	lift := func() {
		if !lifted {
			lifted = true
			must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
		}
	}
	defer lift()

	if err := rewrite(t, s, 300); err != nil { // 300 versions are five times the limit
		t.Fatalf("the file has a few pages, and writing stopped: %v", err)
	}
	at, err := s.Acquire(ctx, 0)
	must(t, err)
	if err := s.Commit(ctx, 0, at, big("big", 100)); err == nil {
		t.Fatal("a commit that is larger than the space")
	}
	if err := rewrite(t, s, 1); err != nil {
		t.Fatalf("a small one after it: %v", err)
	}
	lift()
	at, err = s.Acquire(ctx, 0)
	must(t, err)
	must(t, s.Commit(ctx, 0, at, big("big", 100)))
}
