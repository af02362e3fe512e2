package adopt

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

const (
	beatAge = 10 * time.Second // a process that has said nothing for longer does not run
	settle  = 3 * time.Second  // nodes and back ends learn that the chat is being switched
	mostLag = 2 * time.Second  // of the follower, for a switch to begin
)

// Status is how far a move is.
type Status struct {
	Adoption Adoption       `json:"adoption"`
	Running  bool           `json:"running"`
	Beat     Beat           `json:"run"`
	Remains  float64        `json:"remaining_seconds,omitempty"` // of the copy, about
	Clean    int            `json:"clean_comparisons"`           // one after the other, that found nothing
	Problems []ProblemCount `json:"problems"`
}

// Status asks the node, and the state of the process that runs.
func (f *Files) Status(ctx context.Context) (s Status, err error) {
	if s.Adoption, err = f.Node.Adoption(ctx); err != nil {
		return s, err
	}
	if s.Beat, err = f.State.Beat(ctx); err != nil {
		return s, err
	}
	s.Running = time.Since(s.Beat.At) < beatAge
	s.Remains = s.Beat.Left().Seconds()
	if s.Clean, err = f.clean(ctx); err != nil {
		return s, err
	}
	s.Problems, err = f.State.Problems(ctx)
	return s, err
}

// clean is how many comparisons have found nothing, the last ones.
func (f *Files) clean(ctx context.Context) (n int, err error) {
	text, err := f.State.fact(ctx, "clean")
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &n)
	}
	return n, err
}

// running returns the status of a process that runs, in one of the states.
func (f *Files) running(ctx context.Context, states ...store.AdoptionState) (Status, error) {
	s, err := f.Status(ctx)
	if err != nil {
		return s, err
	}
	if !s.Running {
		return s, chat.E(chat.Conflict, `"roomtide adopt run" has to run beside this`)
	}
	for _, state := range states {
		if s.Adoption.State == string(state) {
			return s, nil
		}
	}
	return s, chat.E(chat.Conflict, "the move is in the state "+s.Adoption.State+", which does not lead there")
}
