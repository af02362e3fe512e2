package adopt

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// Rows of many runs come back in the order of room, time and key, each once, also when a
// process ends between any two batches.
func TestRuns(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "state")
	state, err := OpenState(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { state.Close() }()
	var want []staged
	var r run
	for number := range int64(5) {
		r.reset()
		for i := range 1000 {
			key := source.Key(fmt.Sprint(number*1000 + int64(i)))
			if i%10 == 0 {
				key = "k" + key
			}
			room := fmt.Sprint("room ", rand.IntN(9))
			s := staged{place: placeOf(room, int64(rand.IntN(50)-25), key), Key: key, User: "ann", Deleted: i%7 == 0, Item: fmt.Appendf(nil, "item %d", rand.IntN(1000))}
			if i%3 == 0 {
				s.Reply = "9"
			}
			s.Hash[3] = byte(i)
			want = append(want, s)
			r.add(&s)
		}
		if err := state.write(ctx, func(tx *sql.Tx) error { return r.store(ctx, tx, number) }); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(want, func(a, b staged) int { return a.compare(&b.place) })
	for part := range copyParts {
		mine := slices.DeleteFunc(slices.Clone(want), func(s staged) bool { return partOf(s.Room) != part })
		var after place
		for imported := false; len(mine) > 0; imported = !imported {
			m, err := state.merge(ctx, part, after)
			if err != nil {
				t.Fatal(err)
			}
			some := 1 + rand.IntN(400)
			for i := range min(some, len(mine)) {
				if got := m.peek(); got == nil || !reflect.DeepEqual(*got, mine[i]) {
					t.Fatalf("part %d: %+v, want %+v", part, got, mine[i])
				}
				if err := m.take(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if !imported {
				continue
			}
			some = min(some, len(mine))
			after, mine = mine[some-1].place, mine[some:]
			if err := state.write(ctx, func(tx *sql.Tx) error { return m.drop(ctx, tx) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := -1
	if err := state.db.QueryRowContext(ctx, "SELECT count(*) FROM chunks").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d chunks are left, %v", left, err)
	}
}

func FuzzStaged(f *testing.F) {
	s := staged{place: placeOf("r", -5, "7"), Key: "7", Reply: "6", User: "ann", Deleted: true, Item: []byte("{}")}
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := stagedOf(b)
		if err != nil {
			return
		}
		again, behind, err := stagedOf(append(s.append(nil), rest...))
		if err != nil || again.place != s.place || again.Key != s.Key || string(again.Item) != string(s.Item) || string(behind) != string(rest) {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

// A copy has read and imported each row when it is over.
func TestLeft(t *testing.T) {
	for _, tt := range []struct {
		beat Beat
		want time.Duration
	}{
		{Beat{Phase: "copy: scan", Total: 100, Read: 50, Rate: 10}, 15 * time.Second},
		{Beat{Phase: "copy: messages", Total: 100, Read: 100, Imported: 80, Rate: 10}, 2 * time.Second},
		{Beat{Phase: "copy: messages", Total: 100, Read: 100, Imported: 80}, 0},
		{Beat{Phase: "copy: authors", Total: 100, Read: 120, Imported: 120, Rate: 1}, 0},
		{Beat{Phase: "follow", Total: 100, Read: 100, Imported: 80, Rate: 10}, 0},
	} {
		if got := tt.beat.Left(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.beat, got, tt.want)
		}
	}
}
