package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// Each call of the engine is answered within Config.Patience, whatever the databases
// do: Unavailable at the latest, which says when to try again. Below, each call to a
// database has a bound of its own (store.Bounds), and a lane goes on until it knows what
// has become of a change: that may be made after its client was told Unavailable, and is
// not made twice when the client repeats it with its key.

// defaultPatience is as long as a change waits for a lane of another node.
const defaultPatience = 10 * time.Second

// retryAfterUnavailable is the RetryAfter of what a database does not answer, in
// milliseconds. Lanes try once a second whether theirs is back.
const retryAfterUnavailable = 1000

// within runs what may take as long as the engine's patience.
func within[R any](ctx context.Context, e *Engine, do func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	r, err := do(ctx)
	return r, later(err)
}

// later says when to try again where err does not.
func later(err error) error {
	var own *chat.Error
	if err == nil || !errors.As(err, &own) || own.Kind != chat.Unavailable || own.RetryAfter > 0 {
		return err
	}
	return &chat.Error{Kind: chat.Unavailable, Op: own.Op, Subject: own.Subject, Text: own.Text, RetryAfter: retryAfterUnavailable, Err: err}
}

// unanswered is what a call ends with when its patience does.
func unanswered(op string) *chat.Error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "the room's database, or the node that writes to it, does not answer, try again", RetryAfter: retryAfterUnavailable}
}

// answered returns what a lane calls with the outcome of a change, which calls done with
// it, or has called done with Unavailable when patience had ended. A message that is
// accepted before waits for its outcome.
func (e *Engine) answered(c change.Change, done change.Done) change.Done {
	var said atomic.Bool
	timer := time.AfterFunc(e.cfg.Patience, func() {
		if said.CompareAndSwap(false, true) {
			done(change.Reply{}, unanswered("engine.submit"))
			e.cfg.AfterLate()
		}
	})
	if send, ok := c.(*change.Send); ok && send.Accepted != nil {
		tell := send.Accepted
		send.Accepted = func(at change.Queued) {
			if timer.Stop() {
				tell(at)
			}
		}
	}
	return func(r change.Reply, err error) {
		if said.CompareAndSwap(false, true) {
			timer.Stop()
			done(r, later(err))
		}
	}
}
