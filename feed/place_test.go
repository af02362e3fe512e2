package feed

import (
	"context"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// slowLanes has no answer for a cursor, and counts those that are handed in again.
type slowLanes struct {
	Lanes
	again int
}

func (s *slowLanes) SaveCursors(context.Context, int, ...store.Cursor) error {
	return chat.E(chat.Unavailable, "no answer")
}

func (s *slowLanes) Do(context.Context, change.Change) (change.Reply, error) {
	s.again++
	return change.Reply{}, nil
}

// The cursor of a lane of another node is handed on; that of a request that was given up is not handed
// in a second time.
func TestSaveOnce(t *testing.T) {
	w, lanes := newWorld(t), &slowLanes{}
	f := &Feeds{cfg: Config{Store: w.store, Lanes: lanes}}
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.save(ctx, 0, store.Cursor{Consumer: "c"}); err != nil || lanes.again != 1 {
		t.Errorf("%v, handed on %d times", err, lanes.again)
	}
	cancel()
	if err := f.save(ctx, 0, store.Cursor{Consumer: "c"}); chat.KindOf(err) != chat.Unavailable || lanes.again != 1 {
		t.Errorf("%v, handed on %d times", err, lanes.again)
	}
}
