package sqlite

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/store"
)

// now is the time of the machine in Unix milliseconds: a file has no other clock.
const now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

// Lease is store.Writer.Lease.
func (s *Shard) Lease(ctx context.Context, lane store.LaneID, node string, life time.Duration) (l store.Lease, err error) {
	left := -int64(24 * time.Hour / time.Millisecond) // of one that was never taken
	look := func(r scanner) error { return r.Scan(&l.Holder, &left) }
	err = s.db.write(ctx, "lease", func(w *writer) error {
		if node != "" {
			_, err := w.exec("INSERT INTO leases (lane, holder, until) VALUES (?1, ?2, "+now+" + ?3) ON CONFLICT (lane) DO UPDATE"+
				" SET holder = ?2, until = "+now+" + ?3 WHERE holder = ?2 OR until <= "+now, int64(lane), node, life.Milliseconds())
			if err != nil {
				return err
			}
		}
		return w.each("SELECT holder, until - "+now+" FROM leases WHERE lane = ?", look, int64(lane))
	})
	l.Left = time.Duration(left) * time.Millisecond
	return l, err
}

// Unlease is store.Writer.Unlease.
func (s *Shard) Unlease(ctx context.Context, lane store.LaneID, node string) error {
	return s.db.write(ctx, "unlease", func(w *writer) error {
		_, err := w.exec("UPDATE leases SET holder = '', until = "+now+" WHERE lane = ? AND holder = ? AND until > "+now, int64(lane), node)
		return err
	})
}
