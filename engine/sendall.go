package engine

import (
	"context"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// Sending is a message and the actor in whose name it is sent.
type Sending struct {
	Actor Actor
	Send  *change.Send
}

// Outcome is what came of a change: a reply, or an error, or neither.
type Outcome struct {
	Reply  change.Reply
	Err    error
	Queued *change.Queued // of a message that waits in the durable queue to be decided: where
}

// SendAll is Send for many messages, whose commits they share. It returns the outcome of
// each: one that is refused does not keep the others back. Messages of one room are
// stored in their order. What was accepted by the durable queue and has no outcome after
// wait has Queued; its message is not the caller's again. If ctx ends first, or patience,
// others without an outcome are Unavailable, and may still be sent.
func (e *Engine) SendAll(ctx context.Context, all []Sending, wait time.Duration) []Outcome {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	waited := time.NewTimer(wait)
	defer waited.Stop()
	names, cancelNames := context.WithTimeout(ctx, nameTime) // for all: a shard that is down holds up each of its users
	defer cancelNames()
	g := newGather("engine.send_all", len(all))
	e.handAll(g, func(i int) (change.Change, error) {
		s := &all[i]
		if err := e.prepare(&s.Actor, s.Send); err != nil {
			return nil, err
		}
		e.stampNames(names, s.Send)
		s.Send.Accepted = func(at change.Queued) { g.accept(i, at) }
		return s.Send, nil
	})
	return g.wait(ctx, waited.C)
}

// submitAll hands n changes to their lanes, in their order, and returns what came of each.
// next makes the one with the number, or says why it is refused.
func (e *Engine) submitAll(ctx context.Context, op string, n int, next func(i int) (change.Change, error)) []Outcome {
	g := newGather(op, n)
	e.handAll(g, next)
	return g.wait(ctx, nil)
}

// handAll hands changes to their lanes, whose outcomes go to g.
func (e *Engine) handAll(g *gather, next func(i int) (change.Change, error)) {
	for i := range g.outcomes {
		c, err := next(i)
		if err != nil {
			g.outcomes[i].Err = err
			continue
		}
		g.outcomes[i].Err = unanswered(g.op)
		g.open++
		e.handInOrder(c, func(r change.Reply, err error) { g.settled <- numbered{i, Outcome{Reply: r, Err: later(err)}} })
	}
}

// gather waits for the outcomes of many changes.
type gather struct {
	op       string
	outcomes []Outcome // those that are open are Unavailable, or Queued
	final    []bool    // of each outcome: the lane has said it
	settled  chan numbered
	accepted chan numbered

	open   int // have no outcome
	queued int // those of them that were accepted
}

// numbered is the outcome of one of many changes.
type numbered struct {
	i int
	Outcome
}

func newGather(op string, n int) *gather {
	return &gather{op: op, outcomes: make([]Outcome, n), final: make([]bool, n), settled: make(chan numbered, n), accepted: make(chan numbered, n)}
}

// accept is change.Send.Accepted. It may run again, and when nothing reads the channel any
// more.
func (g *gather) accept(i int, at change.Queued) {
	select {
	case g.accepted <- numbered{i, Outcome{Queued: &at}}:
	default:
	}
}

// wait returns the outcomes when all are there; when over has fired, without those that
// were accepted; and when ctx ends, as they are.
func (g *gather) wait(ctx context.Context, over <-chan time.Time) []Outcome {
	for patient := true; g.open > 0 && (patient || g.queued < g.open); {
		select {
		case a := <-g.accepted:
			g.accepts(a)
		case s := <-g.settled:
			g.settles(s)
		case <-over:
			patient = false
		case <-ctx.Done():
			return g.outcomes
		}
	}
	return g.outcomes
}

func (g *gather) accepts(a numbered) {
	if o := &g.outcomes[a.i]; o.Queued == nil && !g.final[a.i] {
		g.queued++
		*o = a.Outcome
	}
}

func (g *gather) settles(s numbered) {
	for more := true; more; { // one that was accepted was so before
		select {
		case a := <-g.accepted:
			g.accepts(a)
		default:
			more = false
		}
	}
	g.open--
	g.final[s.i] = true
	o := &g.outcomes[s.i]
	if o.Queued != nil {
		g.queued--
		if chat.KindOf(s.Err) == chat.Unavailable { // this node stops: the queue has the message
			return
		}
	}
	*o = s.Outcome
}
