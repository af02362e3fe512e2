package sqldb

import (
	"context"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Taken is store.Writer.Taken. It asks on the lane's connection, as Load does.
func (r *Reader) Taken(ctx context.Context, lane store.LaneID) (t store.Taken, err error) {
	err = r.lane.Ask(ctx, taken(&t, lane))
	if err != nil {
		t = store.Taken{}
	}
	return t, err
}

func taken(t *store.Taken, lane store.LaneID) Question {
	return Question{
		Text: "SELECT lane, queue, senders FROM {taken} WHERE lane = ?", Args: []any{int64(lane)},
		Row: func(s Scanner) error {
			var of, queue int64
			err := s.Scan(&of, &queue, &t.Senders)
			if t.Queue = uint64(queue); err == nil && of != int64(lane) {
				err = errMixed
			}
			return err
		},
	}
}

// Sent is store.RoomReader.Sent.
func (r *Reader) Sent(ctx context.Context, lane store.LaneID, key store.MessageKey) (*chat.Message, uint64, error) {
	var t store.Taken
	exists, st := false, store.NewState()
	qs := r.pickRooms([]chat.RoomID{key.Room}, func(got *chat.Room) { exists = !got.Deleted })
	qs = append(qs, r.pickKeys([]store.MessageKey{key}, st)...)
	if err := r.db.Ask(ctx, append(qs, taken(&t, lane))...); err != nil {
		return nil, 0, err
	}
	seq, ok := st.Keys[key]
	if !ok || !exists {
		return nil, t.Queue, nil
	}
	m := st.Messages[store.MessageRef{Room: key.Room, Seq: seq}]
	return &m, t.Queue, nil
}

// TakenValues is the row of a lane.
func TakenValues(row []any, lane store.LaneID, t *store.Taken) []any {
	senders := t.Senders
	if senders == nil {
		senders = []byte{} // not NULL
	}
	return append(row, int64(lane), int64(t.Queue), senders)
}
