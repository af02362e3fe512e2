package sqldb

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// leases has a row for each lane, apart from that of its position, which each commit
// locks.
var leases = Table{"leases", []Column{{Name: "lane"}, {Name: "holder", Kind: ID}, {Name: "until"}}, 1}

// freeLongest is how long a lane that was never leased counts as free.
const freeLongest = 24 * time.Hour

// Lease is store.Writer.Lease. The time is that of the statement which asks for it.
func (r *Reader) Lease(ctx context.Context, lane store.LaneID, node string, life time.Duration) (store.Lease, error) {
	if node != "" {
		take := Statement{
			Text: "UPDATE {leases} SET holder = ?, until = " + r.d.Now + " + ? WHERE lane = ? AND (holder = ? OR until <= " + r.d.Now + ")",
			Args: []any{node, life.Milliseconds(), int64(lane), node},
		}
		if err := r.leases.Exec(ctx, take); err != nil {
			return store.Lease{}, err
		}
	}
	l, err := r.lookAtLease(ctx, lane)
	if err != nil || node == "" || l.Holder != "" {
		return l, err
	}
	err = r.leases.Exec(ctx, Statement{Text: insert(&leases), Args: []any{int64(lane), "", int64(0)}})
	if err != nil && chat.KindOf(err) != chat.Conflict { // another node was first
		return store.Lease{}, err
	}
	return r.Lease(ctx, lane, node, life)
}

func (r *Reader) lookAtLease(ctx context.Context, lane store.LaneID) (l store.Lease, err error) {
	l.Left = -freeLongest
	err = r.leases.Ask(ctx, Question{
		Text: "SELECT holder, until - " + r.d.Now + " FROM {leases} WHERE lane = ?", Args: []any{int64(lane)},
		Row: func(s Scanner) error {
			var left int64
			err := s.Scan(&l.Holder, &left)
			l.Left = time.Duration(max(left, -freeLongest.Milliseconds())) * time.Millisecond
			return err
		},
	})
	return l, err
}

// Unlease is store.Writer.Unlease.
func (r *Reader) Unlease(ctx context.Context, lane store.LaneID, node string) error {
	return r.leases.Exec(ctx, Statement{
		Text: "UPDATE {leases} SET holder = '', until = " + r.d.Now + " WHERE lane = ? AND holder = ? AND until > " + r.d.Now,
		Args: []any{int64(lane), node},
	})
}

// LeasedTo returns a node other than the given one that has a lease of the shard, empty
// if there is none.
func LeasedTo(ctx context.Context, db Engine, node string) (holder string, err error) {
	err = db.Ask(ctx, Question{
		Text: "SELECT holder FROM {leases} WHERE until > " + db.Dialect().Now + " AND holder <> ? ORDER BY lane LIMIT 1", Args: []any{node},
		Row: func(s Scanner) error { return s.Scan(&holder) },
	})
	return holder, err
}
