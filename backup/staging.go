package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/roomtide/roomtide/chat"
)

// staging is a directory in which the files of a target are made. They get their place
// when all of them are whole; until then the target does not exist, or stays empty.
type staging struct {
	target string
	dir    string
	inside bool // the target was there, empty: it keeps its owner and mode
}

// stage fails with Conflict unless the target is missing or an empty directory.
func stage(target string) (*staging, error) {
	s := &staging{target: filepath.Clean(target)}
	entries, err := os.ReadDir(s.target)
	parent, pattern := filepath.Dir(s.target), "."+filepath.Base(s.target)+".partial-*"
	switch {
	case err == nil && len(entries) > 0:
		return nil, &chat.Error{Kind: chat.Conflict, Op: "backup.stage", Text: target + " is not empty: name another directory, or move this one away"}
	case err == nil:
		s.inside, parent, pattern = true, s.target, "partial-*"
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fail(err)
	default:
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return nil, fail(err)
		}
	}
	s.dir, err = os.MkdirTemp(parent, pattern)
	return s, fail(err)
}

func (s *staging) path(name string) string { return filepath.Join(s.dir, name) }

// finish gives the files their place, the one named last after all others: without it
// the target is not taken for what it will be.
func (s *staging) finish(last string) error {
	if err := syncDir(s.dir); err != nil {
		return err
	}
	if !s.inside {
		if err := os.Rename(s.dir, s.target); err != nil {
			return fail(err)
		}
		return syncDir(filepath.Dir(s.target))
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fail(err)
	}
	for _, e := range entries {
		if e.Name() != last {
			if err := os.Rename(s.path(e.Name()), filepath.Join(s.target, e.Name())); err != nil {
				return fail(err)
			}
		}
	}
	if err := syncDir(s.target); err != nil {
		return err
	}
	if err := os.Rename(s.path(last), filepath.Join(s.target, last)); err != nil {
		return fail(err)
	}
	return errors.Join(fail(os.Remove(s.dir)), syncDir(s.target))
}

// abandon removes what there is because of err, and returns err.
func (s *staging) abandon(err error) error {
	return errors.Join(err, fail(os.RemoveAll(s.dir)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fail(err)
	}
	return fail(errors.Join(d.Sync(), d.Close()))
}

// fail makes an error of the file system, which names the file, the package's. One that
// is that already keeps its kind.
func fail(err error) error {
	var own *chat.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), chat.KindOf(err) == chat.ReadOnly:
		return &chat.Error{Kind: chat.ReadOnly, Op: "backup", Text: "there is not enough space; nothing was left behind", Err: err}
	case errors.As(err, &own):
		return err
	}
	return chat.Wrap(chat.Unavailable, "backup", err)
}
