package lane_test

import (
	"context"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// Where nothing is pushed, a read mark looks for no jobs.
func TestReadMarksLookForJobs(t *testing.T) {
	for _, off := range []bool{false, true} {
		w := &world{t: t, dir: t.TempDir(), pushOff: off}
		asked := 0 // drivers are called by one lane at a time
		w.break_ = func(d store.Driver) store.Driver { return &needs{Driver: d, jobs: &asked} }
		w.open()
		w.must(&change.Project{Member: chat.Member{Room: "r", User: "ann", Role: chat.RoleMember, Rev: 1}})
		w.must(&change.Read{User: "ann", Room: "r", Seq: 1})
		w.close()
		if want := map[bool]int{false: 2, true: 0}[off]; asked != want {
			t.Errorf("push off %v: jobs were looked for %d times, want %d", off, asked, want)
		}
	}
}

// needs counts the topics whose jobs are loaded.
type needs struct {
	store.Driver
	jobs *int
}

func (n *needs) Load(ctx context.Context, need *store.Need) (*store.State, error) {
	*n.jobs += len(need.PushJobs)
	return n.Driver.Load(ctx, need)
}
