package adopt

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// turnNode is a node that keeps an adoption as a node does, and answers each PUT as the
// next letter says: "." takes it, "l" takes it and loses the answer, "5" and "4" refuse it
// with 503 and 403. Behind the last letter it takes all.
type turnNode struct {
	mu   sync.Mutex
	now  Adoption // guarded by mu
	puts string   // guarded by mu
}

func (n *turnNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Method == http.MethodPut {
		how := "."
		if n.puts != "" {
			how, n.puts = n.puts[:1], n.puts[1:]
		}
		var next Adoption
		switch err := json.NewDecoder(r.Body).Decode(&next); {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		case how == "5":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case how == "4":
			w.WriteHeader(http.StatusForbidden)
			return
		case next.Generation != n.now.Generation+1:
			w.WriteHeader(http.StatusConflict)
			return
		}
		if n.now = next; how == "l" {
			panic(http.ErrAbortHandler)
		}
	}
	json.NewEncoder(w).Encode(n.now) //nolint:errcheck // the client notices
}

func (n *turnNode) is() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now.State
}

// turning are the files of a move that is in a state, with a process that runs and has all.
func turning(t *testing.T, state store.AdoptionState, puts, readonly string) (*Files, *turnNode) {
	t.Helper()
	n := &turnNode{now: Adoption{State: string(state), Generation: 3, Source: "shop"}, puts: puts}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	node, err := NewNode(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := OpenState(t.Context(), filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	f := &Files{Node: node, State: kept}
	t.Cleanup(func() { f.Close() })
	later := time.Now().Add(time.Hour)
	if err := kept.setBeat(t.Context(), &Beat{At: later, CaughtUp: later, Drained: later, Readonly: readonly}); err != nil {
		t.Fatal(err)
	}
	if err := kept.setFact(t.Context(), "clean", "2"); err != nil {
		t.Fatal(err)
	}
	return f, n
}

// A node that fails for a moment, and answers that are lost, keep no turn from its end. One
// that is refused leaves all as it was.
func TestTurn(t *testing.T) {
	const followed, switched = store.AdoptionFollowing, store.AdoptionSwitched
	for puts, row := range map[string]struct {
		kind chat.Kind // of the error; Internal: there is none
		ends bool
	}{
		"": {ends: true}, "l": {ends: true}, "5.": {ends: true}, "..": {ends: true}, ".55": {ends: true}, ".l": {ends: true}, "ll": {ends: true}, ".5l": {ends: true},
		"4": {kind: chat.Forbidden}, ".4": {kind: chat.Unavailable}, ".45": {kind: chat.Unavailable}, ".4l": {kind: chat.Unavailable},
	} {
		for _, from := range []store.AdoptionState{followed, switched} {
			t.Run(string(from)+" "+puts, func(t *testing.T) {
				t.Parallel()
				f, n := turning(t, from, puts, "")
				do, want := f.Switch, switched
				if from == switched {
					do, want = f.Back, followed
				}
				if !row.ends {
					want = from
				}
				if err := do(t.Context()); (err == nil) != row.ends || chat.KindOf(err) != row.kind {
					t.Errorf("%v", err)
				}
				if got := n.is(); got != string(want) {
					t.Errorf("the state is %s, want %s", got, want)
				}
			})
		}
	}
}

// Either command leads out of a turn that was cut off: the same one to its end, the other
// one back to its beginning, for which nothing has to be said on the other side.
func TestTurnThatWasCutOff(t *testing.T) {
	const followed, held, switched = store.AdoptionFollowing, store.AdoptionSwitching, store.AdoptionSwitched
	for _, from := range []store.AdoptionState{followed, switched, ""} { // "": it is not known
		for _, to := range []store.AdoptionState{followed, switched} {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				t.Parallel()
				f, n := turning(t, cmp.Or(from, held), "", "")
				if from != "" {
					n.puts = ".44" // neither the end nor the way back is saved
					first := f.Switch
					if from == switched {
						first = f.Back
					}
					if err := first(t.Context()); err == nil || !strings.Contains(err.Error(), "adopt switch") || !strings.Contains(err.Error(), "adopt back") {
						t.Errorf("what leads out is not said: %v", err)
					}
				}
				if got := n.is(); got != string(held) {
					t.Fatalf("the state is %s", got)
				}
				now := time.Now()
				if from == to { // neither side has what was said on the other
					if err := f.State.setBeat(t.Context(), &Beat{At: now.Add(time.Hour), Readonly: "it is a view"}); err != nil {
						t.Fatal(err)
					}
				}
				do := f.Back
				if to == switched {
					do = f.Switch
				}
				if err := do(t.Context()); err != nil || n.is() != string(to) {
					t.Errorf("the state is %s, %v", n.is(), err)
				}
			})
		}
	}
	f, n := turning(t, held, "", "it is a view")
	if err := f.Back(t.Context()); chat.KindOf(err) != chat.Conflict || !strings.Contains(err.Error(), "adopt switch") || n.is() != string(held) {
		t.Errorf("what leads out is not said: %v", err)
	}
}

// The end of the copy is said until the node has it, also where the answer is lost. What
// another program said meanwhile is left alone.
func TestCopied(t *testing.T) {
	for _, row := range []struct {
		puts   string
		now    store.AdoptionState
		source string
		kind   chat.Kind // of the error; Internal: there is none
	}{
		{"", store.AdoptionCopying, "shop", chat.Internal}, {"l", store.AdoptionCopying, "shop", chat.Internal}, {"5l", store.AdoptionCopying, "shop", chat.Internal},
		{"", store.AdoptionDone, "shop", chat.Conflict}, {"", store.AdoptionFollowing, "forum", chat.Conflict},
	} {
		t.Run(row.puts+" "+string(row.now)+" "+row.source, func(t *testing.T) {
			t.Parallel()
			f, n := turning(t, store.AdoptionCopying, row.puts, "")
			m, err := New(Config{Mapping: &mapping.Mapping{Source: mapping.Source{Name: "shop"}}, Node: f.Node, State: f.State})
			if err != nil {
				t.Fatal(err)
			}
			m.setState(n.now)
			if row.now != store.AdoptionCopying {
				n.now = Adoption{State: string(row.now), Generation: 4, Source: row.source}
			}
			err = m.again(t.Context(), m.copied)
			if (err == nil) != (row.kind == chat.Internal) || chat.KindOf(err) != row.kind {
				t.Fatal(err)
			}
			if err == nil && (n.is() != string(store.AdoptionFollowing) || m.State().State != n.is()) {
				t.Errorf("the node is %s, the move %s", n.is(), m.State().State)
			}
		})
	}
}
