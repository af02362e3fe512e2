package sqlite

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// A write-ahead log holds every version of a page, and is copied into the file, which
// grows by the newest alone, when it has walPages. On a disk that is nearly full that
// is far too late: the log takes all of what is left, and then there is no space to
// copy it either. So the log is kept small while the disk has less than lowSpace, and
// when it is full the log is copied before writing is given up.
const (
	walPages   = 8000 // 64 MB
	tightPages = 128  // 1 MB
	lowSpace   = 256 << 20
	spaceEvery = time.Second // how often the free space is looked at
)

// watchSpace decides how large the write-ahead log may grow. It is called after a
// commit, by the holder of the turn; what fails is tried again.
func (d *database) watchSpace(w *writer) {
	now := time.Now()
	if now.Sub(w.looked) < spaceEvery {
		return
	}
	w.looked = now
	free, ok := d.free(filepath.Dir(d.path))
	tight := ok && (free < lowSpace || w.tight && free < 2*lowSpace)
	if tight == w.tight {
		return
	}
	pages := walPages
	if tight {
		pages = tightPages
	}
	if err := w.each("PRAGMA wal_autocheckpoint("+strconv.Itoa(pages)+")", func(scanner) error { return nil }); err != nil {
		return
	}
	w.tight = tight
	if !tight {
		d.log.Info("there is space on the disk again")
		return
	}
	_, err := w.checkpoint()
	d.log.Warn("the disk is nearly full", "free", free, "err", err)
}

// checkpoint copies the write-ahead log into the file and gives its space back. It is
// false when a reader still needed the log. No transaction is open.
func (w *writer) checkpoint() (all bool, err error) {
	var busy, frames, copied int64
	err = w.row("PRAGMA wal_checkpoint(TRUNCATE)", func(s scanner) error { return s.Scan(&busy, &frames, &copied) })
	return busy == 0, err
}

// makeRoom copies the write-ahead log into the file after err, if that says that the
// disk is full, or a quota, and reports whether to try again. A write that failed has
// left no commit that this process could see.
func (d *database) makeRoom(ctx context.Context, err error) bool {
	if code := resultCode(err); code&0xff != sqlite3.SQLITE_FULL && code != sqlite3.SQLITE_IOERR_WRITE {
		return false
	}
	room := false
	failed := d.inTurn(ctx, func(w *writer) (err error) {
		room, err = w.checkpoint()
		return err
	})
	return room && failed == nil
}
