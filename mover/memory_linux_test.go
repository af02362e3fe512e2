package mover_test

import (
	"os"
	"syscall"
	"testing"
)

// memory returns a directory of the test in a file system without a disk, where commits
// do not wait for one. Nothing in these tests depends on that: processes and servers are
// killed, but not the machine. Where there is none, or it is small, it is on disk.
func memory(t testing.TB) string {
	const shm, least = "/dev/shm", 1 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(shm, &s); err != nil || s.Bavail*uint64(s.Bsize) < least {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "roomtide-mover-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
