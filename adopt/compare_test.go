package adopt

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
)

// table is a source of messages; byKey is what ByKeys returns of them.
type table struct {
	source.Source
	rows  []source.Row
	byKey map[source.Key]source.Row
}

func (t *table) Rows(_ context.Context, after source.Key, _ int) ([]source.Row, error) {
	if after != "" {
		return nil, nil
	}
	return t.rows, nil
}

func (t *table) ByKeys(_ context.Context, keys []source.Key) (rows []source.Row, err error) {
	for _, k := range keys {
		if r, ok := t.byKey[k]; ok {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (t *table) Reads(context.Context, source.Key, int) ([]source.ReadRow, error) { return nil, nil }

func stateFile(t *testing.T) *State {
	t.Helper()
	s, err := OpenState(t.Context(), filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What differs only at first is forgotten; a comparison that has found more than is looked
// at again does not count as clean for that.
func TestMoreDiffersThanIsLookedAtAgain(t *testing.T) {
	for _, tt := range []struct {
		rows  int
		clean int
	}{{mostFindings, 2}, {mostFindings + 1, 0}} {
		t.Run(fmt.Sprint(tt.rows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &Files{Mapping: &mapping.Mapping{}, State: stateFile(t)}
				if err := f.State.setFact(t.Context(), "clean", "1"); err != nil {
					t.Fatal(err)
				}
				src := &table{}
				for i := range tt.rows {
					src.rows = append(src.rows, source.Row{Key: source.Key(fmt.Sprint(i + 1)), Room: "r", User: "u", Text: "text"})
				}
				c, err := f.Compare(t.Context(), src, nil)
				if err != nil {
					t.Fatal(err)
				}
				if want := tt.clean == 0; len(c.Findings) > 0 || c.More != want || c.Differs() != want || c.Clean != tt.clean {
					t.Errorf("it has %d findings, more: %v, %d clean", len(c.Findings), c.More, c.Clean)
				}
				if n, err := f.clean(t.Context()); err != nil || n != tt.clean {
					t.Errorf("%d clean are noted: %v", n, err)
				}
			})
		})
	}
}
