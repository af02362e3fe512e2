//go:build unix && !solaris && !aix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// takeLock locks the file for this process. The operating system gives the
// lock back when the process ends, however it ends.
func takeLock(path string) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, lockedBy(f)
		}
		return nil, err
	}
	// For the message of the next one; the lock holds without it.
	if f.Truncate(0) == nil {
		_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	return &dirLock{f.Close}, nil
}

// lockedBy is errLocked with the process that the lock file names, if it does.
func lockedBy(f *os.File) error {
	b := make([]byte, 16)
	n, _ := f.Read(b) // nothing read names no process
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n]))); err == nil {
		return fmt.Errorf("%w by process %d", errLocked, pid)
	}
	return errLocked
}
