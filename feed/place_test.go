package feed

import (
	"context"
	"fmt"
	"strings"
	"testing"

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

func (s *slowLanes) ForwardCursors(context.Context, int, ...store.Cursor) error {
	s.again++
	return nil
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

// without has a feed lack a shard.
func (w *world) without(name string, shard int) {
	w.t.Helper()
	if err := w.lanes.SaveCursors(w.t.Context(), shard, store.Cursor{Consumer: Prefix + name, Drop: true}); err != nil {
		w.t.Fatal(err)
	}
}

// A feed has everything of a shard that was added behind those that it has, whether it is read
// when a node begins to know of the shard or later, and a place from before goes on.
func TestShardsAreAdded(t *testing.T) {
	for _, started := range []bool{false, true} {
		w := newWorld(t)
		w.make("f")
		w.without("f", 1)
		_, before := w.read("f", "", 1000)
		w.without("f", 1)
		for i := range 8 {
			w.send(i%4, fmt.Sprint(i))
		}
		if started {
			if err := w.completeAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			if all, err := w.cursors(t.Context()); err != nil || len(all["f"].at) != 2 {
				t.Errorf("%+v, %v", all["f"], err)
			}
		}
		texts, next := w.read("f", strings.SplitN(before, "-", 2)[0], 1000)
		if len(texts) != 8 {
			t.Errorf("read: %v", texts)
		}
		if texts, _ := w.read("f", next, 1000); len(texts) != 0 {
			t.Errorf("read again: %v", texts)
		}
	}
}

// A feed that was made or dropped in part lacks a shard in front: it is not there, until it is
// made, and then has what is committed from then on.
func TestFeedInPart(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	w.without("f", 0)
	if err := w.completeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.Read(t.Context(), "f", "", 1, 0)
	wantKind(t, err, chat.NotFound)
	for i := range 8 {
		w.send(i%4, fmt.Sprint(i))
	}
	w.make("f")
	w.send(0, "behind")
	w.send(1, "behind")
	if texts, _ := w.read("f", "", 1000); texts["behind"] != 2 {
		t.Errorf("%v", texts)
	}
}
