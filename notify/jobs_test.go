package notify_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/notify"
)

// Members who are away are told of new messages, and of none that an import puts into the
// past of the room.
func TestThePastIsNotTold(t *testing.T) {
	st := teststore.Open(t, t.TempDir(), 1, nil)
	lanes, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		lanes.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	nobody := func(_ context.Context, users []chat.UserID) []bool { return make([]bool, len(users)) }
	jobs := notify.Jobs(notify.JobsConfig{Store: st, Lanes: lanes, Foreground: nobody})
	told := func(c change.Change) int {
		t.Helper()
		before := lanes.Position(0)
		if _, err := lanes.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		entries, err := st.Shards()[0].Outbox(t.Context(), 0, before, 10)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		parts, err := jobs.Parts(t.Context(), 0, &entries[0])
		if err != nil {
			t.Fatal(err)
		}
		return len(parts)
	}
	for _, user := range []chat.UserID{"ann", "bob"} {
		told(&change.Join{Room: "r", User: user, Create: &change.RoomSpec{Open: true}, Own: true})
	}
	from := func(key string, history bool) change.Change {
		return &change.Import{Room: "r", History: history, Messages: []change.Imported{
			{User: "ann", Key: key, Text: key, Time: time.Now().UnixMilli()},
		}}
	}
	for _, row := range []struct {
		name string
		c    change.Change
		want int
	}{
		{"a message", &change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "hello"}}, 1},
		{"a message of the past", from("1", true), 0},
		{"a message that another chat has just got", from("2", false), 1},
	} {
		if got := told(row.c); got != row.want {
			t.Errorf("%s: %d shards have someone to tell, want %d", row.name, got, row.want)
		}
	}
}

// In a room of more members than the setting says a message is told to those alone whom it mentions.
func TestLargeRooms(t *testing.T) {
	for _, row := range []struct {
		name    string
		members int // that are told of everything, at most
		text    string
		mention []chat.UserID
		want    []string
	}{
		{"as many members as that", 2, "hi", nil, []string{"General: Ann: hi"}},
		{"one more", 1, "hi", nil, nil},
		{"mentioned in the text", 1, "hi @bob", nil, []string{"General: Ann mentioned you: hi @bob"}},
		{"mentioned beside the text", 1, "hi", []chat.UserID{"bob"}, []string{"General: Ann mentioned you: hi"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, row.members)
			w.tell(&change.Send{Room: "r", User: "ann", Name: "Ann", Draft: chat.Draft{Text: row.text, Mentions: row.mention}})
			jobs, err := w.store.Shards()[0].DuePushJobs(t.Context(), 0, math.MaxInt64, 10)
			if err != nil || len(jobs) != len(row.want) {
				t.Errorf("%d jobs, want %d; %v", len(jobs), len(row.want), err)
			}
			if got := w.sent(); !slices.Equal(got, row.want) {
				t.Errorf("bob is told %q, want %q", got, row.want)
			}
		})
	}
}
