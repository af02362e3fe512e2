package adopt

import (
	"context"
	"encoding/json"
	"fmt"
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

// Switch puts Roomtide in force: for some seconds nothing is written the old way, everything
// that was written is imported, and from then on the old table is the mirror.
func (f *Files) Switch(ctx context.Context) error {
	s, err := f.running(ctx, store.AdoptionFollowing)
	switch {
	case err != nil:
		return err
	case s.Beat.Lag > mostLag.Seconds():
		return chat.E(chat.Conflict, fmt.Sprintf("the follower is %.1f s behind: wait until it has caught up", s.Beat.Lag))
	case s.Clean < 2:
		return chat.E(chat.Conflict, fmt.Sprintf(`"roomtide adopt compare" has to find nothing twice, one after the other; it has %d times`, s.Clean))
	}
	return f.turn(ctx, s.Adoption, store.AdoptionSwitched, func(b *Beat) time.Time { return b.CaughtUp })
}

// Back puts the old chat in force again, with everything that was said in Roomtide.
func (f *Files) Back(ctx context.Context) error {
	s, err := f.running(ctx, store.AdoptionSwitched)
	if err != nil {
		return err
	}
	if s.Beat.Readonly != "" {
		return chat.E(chat.Conflict, "there is no way back, as "+s.Beat.Readonly)
	}
	return f.turn(ctx, s.Adoption, store.AdoptionFollowing, func(b *Beat) time.Time { return b.Drained })
}

// turn changes which chat is in force, when everything that was said before is on the side
// that will be. If that does not come to be, all stays as it was.
func (f *Files) turn(ctx context.Context, from Adoption, to store.AdoptionState, there func(*Beat) time.Time) error {
	held, err := f.Node.setAdoption(ctx, from, from.Source, string(store.AdoptionSwitching))
	if err != nil {
		return err
	}
	quiet := time.Now().Add(settle)
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		b, err := f.State.Beat(ctx)
		if err == nil && there(&b).After(quiet) {
			_, err := f.Node.setAdoption(ctx, held, from.Source, string(to))
			return err
		}
		select {
		case <-wait.Done():
			undo, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer stop()
			if _, err := f.Node.setAdoption(undo, held, from.Source, from.State); err != nil {
				return chat.E(chat.Unavailable, "the chat is held in the state switching, and cannot be set back: "+chat.Public(err).Text)
			}
			return chat.E(chat.Unavailable, "it did not come to rest within a minute: all is as before")
		case <-time.After(200 * time.Millisecond):
		}
	}
}
