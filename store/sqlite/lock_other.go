//go:build !unix || solaris || aix

package sqlite

import (
	"errors"
	"io/fs"
	"os"
)

// takeLock makes the file, which must not exist. Where the operating system has
// no file locks of the usual kind, a file left by a process that crashed has to
// be deleted by hand.
func takeLock(path string) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return &dirLock{func() error {
		return errors.Join(f.Close(), os.Remove(path))
	}}, nil
}
