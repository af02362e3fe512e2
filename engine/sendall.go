package engine

import (
	"context"

	"github.com/roomtide/roomtide/change"
)

// Sending is a message and the actor in whose name it is sent.
type Sending struct {
	Actor Actor
	Send  *change.Send
}

// Outcome is what came of a change: a reply, or an error.
type Outcome struct {
	Reply change.Reply
	Err   error
}

// SendAll is Do for many messages, whose commits they share. It returns the outcome of
// each: one that is refused does not keep the others back. Messages of one room are
// stored in their order. If ctx ends first, or patience, those without an outcome are
// Unavailable, and may still be sent.
func (e *Engine) SendAll(ctx context.Context, all []Sending) []Outcome {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	return e.submitAll(ctx, "engine.send_all", len(all), func(i int) (change.Change, error) {
		s := &all[i]
		err := e.prepare(&s.Actor, s.Send)
		if err == nil {
			e.stampNames(ctx, s.Send)
		}
		return s.Send, err
	})
}

// submitAll hands n changes to their lanes, in their order, and returns what came of each.
// next makes the one with the number, or says why it is refused.
func (e *Engine) submitAll(ctx context.Context, op string, n int, next func(i int) (change.Change, error)) []Outcome {
	outcomes, waiting := make([]Outcome, n), 0
	type settled struct {
		i int
		Outcome
	}
	done := make(chan settled, n)
	for i := range outcomes {
		c, err := next(i)
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		outcomes[i].Err = unanswered(op)
		waiting++
		e.cfg.Lanes.Submit(c, func(r change.Reply, err error) { done <- settled{i, Outcome{r, later(err)}} })
	}
	for ; waiting > 0; waiting-- {
		select {
		case s := <-done:
			outcomes[s.i] = s.Outcome
		case <-ctx.Done():
			return outcomes
		}
	}
	return outcomes
}
