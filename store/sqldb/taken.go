package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/store"
)

// Taken is store.Writer.Taken. It asks on the lane's connection, as Load does.
func (r *Reader) Taken(ctx context.Context, lane store.LaneID) (t store.Taken, err error) {
	err = r.lane.Ask(ctx, Question{
		Text: "SELECT lane, queue, senders FROM {taken} WHERE lane = ?", Args: []any{int64(lane)},
		Row: func(s Scanner) error {
			var of, queue int64
			err := s.Scan(&of, &queue, &t.Senders)
			if t.Queue = uint64(queue); err == nil && of != int64(lane) {
				err = errMixed
			}
			return err
		},
	})
	if err != nil {
		t = store.Taken{}
	}
	return t, err
}

// TakenValues is the row of a lane.
func TakenValues(row []any, lane store.LaneID, t *store.Taken) []any {
	senders := t.Senders
	if senders == nil {
		senders = []byte{} // not NULL
	}
	return append(row, int64(lane), int64(t.Queue), senders)
}
