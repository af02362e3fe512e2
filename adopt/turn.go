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
	turnWithin = time.Minute
	undoWithin = 10 * time.Second
	turnFact   = "turn" // the Adoption at which a turn began
)

// Switch puts Roomtide in force: for some seconds nothing is written the old way, everything
// that was written is imported, and from then on the old table is the mirror. A Switch or
// Back that was cut off in the state switching is brought to this end.
func (f *Files) Switch(ctx context.Context) error {
	s, err := f.running(ctx, store.AdoptionFollowing, store.AdoptionSwitching)
	switch {
	case err != nil:
		return err
	case s.Adoption.State == string(store.AdoptionSwitching): // turn waits for the follower, and the rest was looked at
	case s.Beat.Lag > mostLag.Seconds():
		return chat.E(chat.Conflict, fmt.Sprintf("the follower is %.1f s behind: wait until it has caught up", s.Beat.Lag))
	case s.Clean < 2:
		return chat.E(chat.Conflict, fmt.Sprintf(`"roomtide adopt compare" has to find nothing twice, one after the other; it has %d times`, s.Clean))
	}
	from, err := f.began(ctx, s.Adoption, store.AdoptionFollowing)
	if err != nil {
		return err
	}
	return f.turn(ctx, s.Adoption, from, store.AdoptionSwitched, func(b *Beat) time.Time { return b.CaughtUp })
}

// Back puts the old chat in force again, with everything that was said in Roomtide. A Switch
// or Back that was cut off in the state switching is brought to this end.
func (f *Files) Back(ctx context.Context) error {
	s, err := f.running(ctx, store.AdoptionSwitched, store.AdoptionSwitching)
	if err != nil {
		return err
	}
	from, err := f.began(ctx, s.Adoption, store.AdoptionSwitched)
	switch {
	case err != nil:
		return err
	case s.Beat.Readonly == "" || from == store.AdoptionFollowing: // Roomtide was not in force
	case s.Adoption.State == string(store.AdoptionSwitching):
		return chat.E(chat.Conflict, "there is no way back, as "+s.Beat.Readonly+`; "roomtide adopt switch" leads out of the state switching`)
	default:
		return chat.E(chat.Conflict, "there is no way back, as "+s.Beat.Readonly)
	}
	return f.turn(ctx, s.Adoption, from, store.AdoptionFollowing, func(b *Beat) time.Time { return b.Drained })
}

// began is the state from which a turn leads: the one that is, or in the state switching the
// one from which the turn that was cut off began. usual is where that is not known.
func (f *Files) began(ctx context.Context, now Adoption, usual store.AdoptionState) (store.AdoptionState, error) {
	if now.State != string(store.AdoptionSwitching) {
		return store.AdoptionState(now.State), nil
	}
	text, err := f.State.fact(ctx, turnFact)
	if err != nil || text == "" {
		return usual, err
	}
	var was Adoption
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return "", err
	}
	if was.Generation+1 != now.Generation { // of an earlier turn
		return usual, nil
	}
	return store.AdoptionState(was.State), nil
}

// turn changes which chat is in force, when everything that was said before is on the side
// that will be. If that does not come to be, the state is again the one from which it led.
// From a turn the other way that was cut off nothing is waited for: to is what that one
// would have gone back to.
func (f *Files) turn(ctx context.Context, now Adoption, from, to store.AdoptionState, there func(*Beat) time.Time) error {
	wait, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	held := now
	if now.State != string(store.AdoptionSwitching) {
		text, err := json.Marshal(now)
		if err == nil {
			err = f.State.setFact(ctx, turnFact, string(text))
		}
		if err != nil {
			return err
		}
		next, err := f.advance(wait, now, store.AdoptionSwitching)
		if retryable(err) { // it may have been saved
			held.Generation++
			return f.undo(ctx, held, from, to, err)
		}
		if err != nil {
			return err
		}
		held = next
	}
	var err error
	if from != to {
		err = f.rest(wait, there)
	}
	if err == nil {
		_, err = f.advance(wait, held, to)
	}
	if err == nil || chat.KindOf(err) == chat.Conflict {
		return err
	}
	return f.undo(ctx, held, from, to, err)
}

// rest waits until one side has everything that was said before nothing was.
func (f *Files) rest(wait context.Context, there func(*Beat) time.Time) error {
	quiet := time.Now().Add(settle)
	for {
		b, err := f.State.Beat(wait)
		if err == nil && there(&b).After(quiet) {
			return nil
		}
		if pause(wait, 200*time.Millisecond) != nil {
			return chat.E(chat.Unavailable, "it did not come to rest within a minute")
		}
	}
}

// undo ends a turn that has failed: the state is again the one from which it led.
func (f *Files) undo(ctx context.Context, held Adoption, from, to store.AdoptionState, why error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer stop()
	now, err := f.advance(ctx, held, from)
	text := chat.Public(why).Text
	switch {
	case err == nil && from == to, chat.KindOf(err) == chat.Conflict && now.State == string(to): // it was saved, and the answer was lost
		return nil
	case err == nil:
		return chat.E(chat.Unavailable, text+": all is as before")
	case chat.KindOf(err) == chat.Conflict:
		return err
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "adopt.turn", Err: err,
		Text: text + "; the chat may be held in the state switching, and cannot be set back (" + chat.Public(err).Text +
			`): call "roomtide adopt switch" or "roomtide adopt back" when the node answers, both go on from there`}
}

// advance says the next state. While the node cannot take it, it is said again, until ctx ends.
func (f *Files) advance(ctx context.Context, from Adoption, to store.AdoptionState) (now Adoption, err error) {
	for {
		now, err = f.Node.advance(ctx, from, from.Source, string(to))
		if !retryable(err) || pause(ctx, 200*time.Millisecond) != nil {
			return now, err
		}
	}
}
