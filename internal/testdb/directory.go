package testdb

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// directory is where a server has its files. It is locked while this process lives,
// so that others can tell when no process needs it any more.
type directory struct {
	path string
	lock *os.File
	user *syscall.Credential // that owns it, if it is another than that of this process
}

const pattern = "roomtide-testdb-"

// newDirectory makes a directory that belongs to the system's user with the name when
// this process is root: servers refuse to run as root.
func newDirectory(owner string) (*directory, error) {
	sweep()
	d := &directory{}
	var err error
	if d.path, err = os.MkdirTemp("", pattern); err != nil {
		return nil, err
	}
	if err := d.open(owner); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

func (d *directory) open(owner string) (err error) {
	if d.lock, err = os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	d.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(d.path, int(uid), int(gid))
}

func (d *directory) remove() error {
	err := os.RemoveAll(d.path)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// sweep removes the directories of test binaries that were killed. A young one may
// not be locked yet.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), pattern+"*"))
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // of another user, or being removed
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir) // the next one tries again
		}
		lock.Close()
	}
}
