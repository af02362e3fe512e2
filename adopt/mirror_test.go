package adopt

import (
	"fmt"
	"testing"
	"time"
)

// All that was said before a read of the feed is in the old table once a page that has less
// than was asked for is, however much is said meanwhile; not if a message of it waits.
func TestDrained(t *testing.T) {
	for _, row := range []struct {
		events         int
		waits, drained bool
	}{
		{0, false, true}, {1, false, true}, {feedEvents - 1, false, true}, {feedEvents, false, false}, {feedEvents + 1, false, false}, {1, true, false},
	} {
		t.Run(fmt.Sprint(row.events, row.waits), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "room", "")
			page := feedPage{Events: make([]said, row.events), Next: "0.1"}
			for i := range page.Events {
				page.Events[i].Type = "room.changed"
			}
			if row.events > 0 {
				page.Events[row.events-1] = said{"message.created", message{Room: "a", Seq: 1, User: "ann", Text: "hello", Time: time.Now()}}
			}
			if row.waits {
				w.exec("DROP TABLE roomtide_map")
				w.mirror.unsure = true
			}
			w.node.feed = []feedPage{page}
			began := time.Now()
			_, err := w.mirror.step(t.Context(), "")
			if (err != nil) != row.waits {
				t.Fatal(err)
			}
			if at := w.Beat().Drained; row.drained != at.After(began) {
				t.Errorf("drained at %v, began at %v", at, began)
			}
			if row.events == 0 || row.waits {
				return
			}
			var body string
			if err := w.db.QueryRowContext(t.Context(), "SELECT body FROM messages").Scan(&body); err != nil || body != "hello" {
				t.Errorf("the row is %q, %v", body, err)
			}
		})
	}
}

// Messages whose room was deleted meanwhile are not in the way of others that a comparison has
// not found in the old table.
func TestRepairBehindDeletedRooms(t *testing.T) {
	w := newWorld(t, "room", "")
	w.node.messages["z"] = []message{{Room: "z", Seq: 1, User: "ann", Text: "hello", Time: time.Now()}}
	found := []Finding{{Room: "z", Seq: 1, What: NotMirrored}}
	for i := range 150 {
		found = append(found, Finding{Room: fmt.Sprint("deleted ", i), Seq: 1, What: NotMirrored})
	}
	if err := w.files.Repair(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.mirror.repair(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var rows, left int
	err := w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM messages").Scan(&rows)
	if err == nil {
		err = w.cfg.State.db.QueryRowContext(t.Context(), "SELECT count(*) FROM unmirrored").Scan(&left)
	}
	if err != nil || rows != 1 || left != 0 {
		t.Errorf("%d rows, and %d are left, %v", rows, left, err)
	}
}
