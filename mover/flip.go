package mover

import (
	"context"
	"errors"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

// errTooLong is why changes were let go again.
var errTooLong = errors.New("it would have taken too long to hold changes back")

// takeOver holds the changes of the slots back and makes the target their owner. When
// that is not done in time, they go on in the source, and it is tried again.
func (j *job) takeOver(ctx context.Context) error {
	if j.unequal == nil { // what was compared was in memory
		return j.enter(store.MoveFollowing)
	}
	if err := j.settleDown(ctx, mayDiffer); err != nil {
		return err
	}
	if err := j.cfg.Hub.Listen(bus.Lane(j.to)); err != nil {
		return err
	}
	j.mu.Lock()
	j.mv.Holds++
	j.mu.Unlock()
	start := time.Now()
	err := j.hold(ctx, start.Add(j.cfg.HoldFor))
	took := time.Since(start)
	j.metrics.held.Observe(took.Seconds())
	j.mu.Lock()
	j.mv.HeldFor = took.Milliseconds()
	j.mu.Unlock()
	if err != nil {
		return err
	}
	return j.enter(store.MoveFlipped)
}

// hold is takeOver while changes wait. When it returns an error the source is the
// owner as before.
func (j *job) hold(ctx context.Context, deadline time.Time) error {
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	crashpoint.Hit("move-before-hold")
	version := j.cfg.Store.MapVersion() // a term that begins from here on makes another one
	if err := j.goesOn(); err != nil {
		return err
	}
	release, err := j.holdQueue(bounded)
	if err != nil {
		return err
	}
	defer release()
	j.cfg.Lanes.Hold(&j.slots, j.from, j.to)
	defer j.cfg.Lanes.Release()
	crashpoint.Hit("move-in-hold")
	if err := j.finish(bounded); err != nil {
		if ctx.Err() == nil && bounded.Err() != nil {
			err = &chat.Error{Kind: chat.Unavailable, Op: "mover.hold", Text: errTooLong.Error(), Err: err}
		}
		return err
	}
	crashpoint.Hit("move-before-map")
	err = j.cfg.Store.Assign(bounded, &j.slots, j.to, version)
	crashpoint.Hit("move-after-map")
	if err != nil {
		if err := j.outcome(err); err != nil {
			return err
		}
	}
	j.tell()
	if err := j.cfg.Hub.Reroute(); err != nil { // the bus is closed: so are the clients
		j.log.Warn("moving slots: the hub does not listen to the new lane", "err", err)
	}
	crashpoint.Hit("move-before-release")
	return nil
}

// holdQueue keeps more of the durable queue from being taken.
func (j *job) holdQueue(ctx context.Context) (release func(), err error) {
	if c := j.cfg.Cluster; c != nil && c.HoldQueue != nil {
		return c.HoldQueue(ctx, j.from)
	}
	return func() {}, nil
}

// finish lets the source do what it has, and the target have all of it. Behind it are marks in
// both outboxes.
func (j *job) finish(ctx context.Context) error {
	if err := j.cfg.Lanes.Barrier(ctx, j.in, nil); err != nil {
		return err
	}
	if err := j.follow(ctx, nil); err != nil {
		return err
	}
	for range differsFor {
		if err := j.compareUnequal(ctx); err != nil {
			return err
		}
		if len(j.unequal) == 0 {
			return j.mark(ctx)
		}
	}
	return errTooLong // not reached: rows that differ so often are an error
}

// mark says in both outboxes that the slots pass from one shard to the other: behind everything
// that the source has said of them, and before everything that the target will.
func (j *job) mark(ctx context.Context) error {
	f := store.Flip{Slots: j.slots, From: j.source.Name()}
	var err error
	if f.Position, err = j.cfg.Lanes.Flip(ctx, j.in, f); err != nil {
		return err
	}
	crashpoint.Hit("move-between-marks")
	_, err = j.cfg.Lanes.Flip(ctx, j.into, f)
	return err
}

// outcome finds out whether the map was saved although saving it failed with err: nil
// if it was. Until that is known, neither lane may have the changes. It is not enough to read
// the map: a commit whose answer did not come may still be under way. Behind a version that this
// one saves, it has succeeded or fails.
func (j *job) outcome(err error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		reloadErr := j.cfg.Store.Confirm(j.ctx)
		switch {
		case reloadErr == nil && j.ownsAll(j.to):
			return nil
		case reloadErr == nil:
			return err
		case j.ctx.Err() != nil:
			j.cfg.Lanes.Refuse()
			return err
		}
		j.log.Error("moving slots: it is not known which shard owns them, their changes wait until the control database answers", "move", j.mv.ID, "err", reloadErr)
		wait(j.ctx, pause)
	}
}
