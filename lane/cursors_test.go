package lane_test

import (
	"context"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/store"
)

// cursorSpy tells which cursors commits hold.
type cursorSpy struct {
	store.Driver
	saw chan []store.Cursor
}

func (s cursorSpy) Commit(ctx context.Context, lane store.LaneID, at store.Position, ch *store.Changes) error {
	if ch.Cursors != nil {
		s.saw <- slices.Clone(ch.Cursors)
	}
	return s.Driver.Commit(ctx, lane, at, ch)
}

// A commit holds one cursor of a consumer, the last one of its batch: drivers need not expect more,
// and PostgreSQL refuses to write a row twice in one statement.
func TestOneCursorOfAConsumer(t *testing.T) {
	saw := make(chan []store.Cursor, 1)
	w := &world{t: t, dir: t.TempDir()}
	w.break_ = func(d store.Driver) store.Driver { return cursorSpy{d, saw} }
	w.open()
	t.Cleanup(w.close)
	at := func(consumer string, position int64) store.Cursor {
		return store.Cursor{Consumer: consumer, Position: position}
	}
	drop := store.Cursor{Consumer: "c", Drop: true}
	for what, c := range map[string]struct{ given, want []store.Cursor }{
		"the same twice":   {[]store.Cursor{at("c", 3), at("c", 3)}, []store.Cursor{at("c", 3)}},
		"others between":   {[]store.Cursor{at("c", 3), at("d", 1), at("c", 4)}, []store.Cursor{at("c", 4), at("d", 1)}},
		"dropped and set":  {[]store.Cursor{drop, at("c", 5)}, []store.Cursor{at("c", 5)}},
		"set and dropped":  {[]store.Cursor{at("c", 5), drop}, []store.Cursor{drop}},
		"of two consumers": {[]store.Cursor{at("c", 1), at("d", 1)}, []store.Cursor{at("c", 1), at("d", 1)}},
	} {
		if err := w.lanes.SaveCursors(t.Context(), 0, c.given...); err != nil {
			t.Fatal(err)
		}
		if got := <-saw; !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
}
