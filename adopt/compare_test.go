package adopt

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/store"
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

// roomNode is a node with messages of the room "r", those that are not 0, by their numbers;
// nil: it has no such room.
type roomNode struct {
	state store.AdoptionState
	seqs  []int64
}

func (n *roomNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any = Adoption{State: string(n.state)}
	if r.URL.Path == "/v1/rooms/r/messages" {
		if n.seqs == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var after int64
		fmt.Sscan(r.URL.Query().Get("after"), &after) //nolint:errcheck // 0
		page := []message{}
		for _, seq := range n.seqs {
			if seq > after && len(page) < 2 {
				page = append(page, message{Room: "r", Seq: seq, User: "u", Text: "text"})
			}
		}
		more := len(page) > 0 && page[len(page)-1].Seq < n.seqs[len(n.seqs)-1]
		answer = map[string]any{"messages": page, "more": more}
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client notices
}

// Rows that are known are looked for on both sides. The rows 1 to 5 are the messages 1 to 5,
// of which the third is deleted.
func TestCompareLooksForWhatIsKnown(t *testing.T) {
	h := hashOf("r", "u", "text", nil, false)
	for _, tt := range []struct {
		name  string
		state store.AdoptionState // following, unless another is said
		seqs  []int64             // in Roomtide
		rows  string              // in the source
		want  []string
	}{
		{name: "all is there", seqs: []int64{1, 2, 4, 5}, rows: "1245"},
		{name: "messages are missing", seqs: []int64{2, 5}, rows: "1245", want: []string{"1: " + NotImported, "4: " + NotImported}},
		{name: "messages are missing at the end", seqs: []int64{1, 2}, rows: "1245", want: []string{"4: " + NotImported, "5: " + NotImported}},
		{name: "the room is empty", seqs: []int64{}, rows: "12", want: []string{"1: " + NotImported, "2: " + NotImported, "4: " + NotImported, "5: " + NotImported}},
		{name: "the room is missing", rows: "1245", want: []string{"1: " + NotImported, "2: " + NotImported, "4: " + NotImported, "5: " + NotImported}},
		{name: "the room was deleted behind the switch", state: store.AdoptionSwitched, rows: "1245"},
		{name: "rows are gone", seqs: []int64{1, 2, 4, 5}, rows: "24", want: []string{"1: " + RowGone, "5: " + RowGone}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &roomNode{cmp.Or(tt.state, store.AdoptionFollowing), tt.seqs}
			server := httptest.NewServer(n)
			defer server.Close()
			node, err := NewNode(server.URL, "key")
			if err != nil {
				t.Fatal(err)
			}
			defer node.Close()
			src := &table{byKey: map[source.Key]source.Row{}}
			put := func(keys string) {
				for _, k := range keys {
					src.byKey[source.Key(k)] = source.Row{Key: source.Key(k), Room: "r", User: "u", Text: "text"}
				}
			}
			put(tt.rows)
			f := &Files{Mapping: &mapping.Mapping{}, Node: node, State: stateFile(t)}
			knows(t, f.State, h)
			c := &comparison{Files: f, src: src, found: map[spot]Finding{}, out: &Comparison{}}
			found := func() (all []string) {
				for _, f := range c.found {
					all = append(all, fmt.Sprint(f.Seq, ": ", f.What))
				}
				slices.Sort(all)
				return all
			}
			if err := c.messages(t.Context()); err != nil || !slices.Equal(found(), tt.want) {
				t.Fatalf("it finds %q: %v", found(), err)
			}
			if err := c.recheck(t.Context()); err != nil || !slices.Equal(found(), tt.want) {
				t.Fatalf("it finds again %q: %v", found(), err)
			}
			repairs(t, f, c)
			knows(t, f.State, h)
			n.seqs = []int64{1, 2, 4, 5}
			put("1245")
			if err := c.recheck(t.Context()); err != nil || len(c.found) > 0 {
				t.Errorf("when all is there it finds %q: %v", found(), err)
			}
		})
	}
}

// knows notes the rows 1 to 5 in the state.
func knows(t *testing.T, s *State, h hash) {
	t.Helper()
	err := s.write(t.Context(), func(tx *sql.Tx) error {
		for seq := int64(1); seq <= 5; seq++ {
			k := known{Key: source.Key(fmt.Sprint(seq)), Room: "r", User: "u", Seq: seq, Hash: h, Deleted: seq == 3}
			if err := putKnown(t.Context(), tx, &k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// repairs has what was found repaired: all rows are looked at again, and those that are to be
// imported again are not known any more.
func repairs(t *testing.T, f *Files, c *comparison) {
	t.Helper()
	var all []Finding
	for _, f := range c.found {
		all = append(all, f)
	}
	if err := f.Repair(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	dirty, err := f.State.takeDirty(t.Context(), applyKeys)
	if err != nil || len(dirty) != len(all) {
		t.Errorf("rows %v are looked at again: %v", dirty, err)
	}
	for _, finding := range all {
		_, ok, err := f.State.bySeq(t.Context(), "r", finding.Seq)
		if err != nil || ok == (finding.What == NotImported) {
			t.Errorf("the row of message %d is known: %v %v", finding.Seq, ok, err)
		}
	}
}
