package lane_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// counted counts the look-ups of keys and the commits of one shard.
type counted struct {
	store.Driver
	mu            sync.Mutex
	keys, commits int
}

func (c *counted) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	c.mu.Lock()
	c.keys += len(need.Keys)
	c.mu.Unlock()
	return c.Driver.Load(ctx, need)
}

func (c *counted) Commit(ctx context.Context, l store.LaneID, at store.Position, ch *store.Changes) error {
	c.mu.Lock()
	c.commits++
	c.mu.Unlock()
	return c.Driver.Commit(ctx, l, at, ch)
}

// A new key is not looked up before its message is written. A repeat is found all the
// same, also by a user who may not write any more, and so is every other change of its
// batch; for a while keys are looked up first then.
func TestRepeatsAreFoundWithoutAsking(t *testing.T) {
	var cs []*counted
	now := time.UnixMilli(1_700_000_000_000)
	w := &world{t: t, dir: t.TempDir(), now: func() time.Time { return now }}
	w.break_ = func(d store.Driver) store.Driver {
		c := &counted{Driver: d}
		cs = append(cs, c)
		return c
	}
	w.open()
	t.Cleanup(w.close)
	w.join("r", "owner", "ann")
	looked := func(since []int) (keys, commits int) {
		for i, c := range cs {
			c.mu.Lock()
			keys, commits = keys+c.keys-since[2*i], commits+c.commits-since[2*i+1]
			c.mu.Unlock()
		}
		return keys, commits
	}
	mark := func() (since []int) {
		for _, c := range cs {
			c.mu.Lock()
			since = append(since, c.keys, c.commits)
			c.mu.Unlock()
		}
		return since
	}

	since := mark()
	first := w.must(send("r", "ann", "k1", "one"))
	second := w.must(send("r", "ann", "k2", "two"))
	if keys, _ := looked(since); keys != 0 {
		t.Errorf("%d keys were looked up for new messages", keys)
	}

	since = mark()
	if r := w.must(send("r", "ann", "k1", "one")); !r.Repeated || r.Seq != first.Seq || r.Rev != first.Rev {
		t.Errorf("the repeat is %+v, the message %+v", r, first)
	}
	if keys, commits := looked(since); keys != 1 || commits != 1 {
		t.Errorf("a repeat has looked up %d keys and tried %d commits, want one of each", keys, commits)
	}

	since = mark()
	if r := w.must(send("r", "ann", "k2", "two")); !r.Repeated || r.Seq != second.Seq {
		t.Errorf("the second repeat is %+v, the message %+v", r, second)
	}
	if keys, commits := looked(since); keys != 1 || commits != 0 {
		t.Errorf("a repeat behind another has looked up %d keys and tried %d commits, want 1 and 0", keys, commits)
	}
	_, err := w.do(send("r", "ann", "k1", "something else"))
	wantKind(t, err, chat.Conflict)

	now = now.Add(time.Minute) // keys are not looked up any more
	w.must(&change.Leave{Room: "r", User: "ann"})
	if r := w.must(send("r", "ann", "k1", "one")); !r.Repeated || r.Seq != first.Seq {
		t.Errorf("the repeat of a user who has left is %+v", r)
	}
	_, err = w.do(send("r", "ann", "k3", "new"))
	wantKind(t, err, chat.NotMember)
}

// The other changes of a batch with a repeat happen once, and in order.
func TestRepeatAmongOthers(t *testing.T) {
	w, fs := newFaultyWorld(t)
	w.join("r", "ann", "bob")
	w.must(send("r", "ann", "old", "old"))
	gate := make(chan struct{})
	for _, f := range fs {
		f.gate = gate
	}
	var mu sync.Mutex
	var seqs []chat.Seq
	var wg sync.WaitGroup
	submit := func(c change.Change) {
		wg.Add(1)
		w.lanes.Submit(c, func(r change.Reply, err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seqs = append(seqs, r.Seq)
		})
	}
	submit(send("r", "bob", "", "first")) // its commit waits, and the others gather behind it
	submit(send("r", "bob", "k1", "second"))
	submit(send("r", "ann", "old", "old"))
	submit(send("r", "bob", "k2", "third"))
	close(gate)
	wg.Wait()
	if want := []chat.Seq{2, 3, 1, 4}; !slices.Equal(seqs, want) {
		t.Errorf("the messages have the numbers %v, want %v", seqs, want)
	}
	ms, _, err := w.store.Room("r").Messages(t.Context(), "r", store.Page{After: store.FromStart, Limit: 10})
	if err != nil || len(ms) != 4 || ms[3].Text != "third" {
		t.Errorf("stored are %d messages (%v)", len(ms), err)
	}
	if events := w.published("r"); len(events) < 4 {
		t.Errorf("%d events", len(events))
	}
}
