//go:build unix && !solaris && !aix

package embednats

import (
	"os"
	"syscall"
)

// dirLock keeps a directory for this process.
type dirLock struct{ f *os.File }

// takeLock locks the file. The operating system gives the lock back when the process
// ends, however it ends.
func takeLock(path string) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() error { return l.f.Close() }
