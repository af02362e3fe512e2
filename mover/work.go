package mover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/store"
)

// job is the work on one move. Owned by run.
type job struct {
	*Mover
	mv       *store.Move
	slots    store.SlotSet // of mv
	from, to int
	source   *store.Shard
	target   *store.Shard
	in, into lane.Term // of the lanes of both, as long as they are the same

	followed int64 // position of the source up to which the target has what was written
	saved    int64 // the stored cursor

	// unequal are rows that are still to be compared, or again, with how often they
	// differed since they were named in the outbox; nil before verifying.
	unequal map[store.RowKey]int

	pacer pacer
	hurry bool // there are no pauses
}

// mismatch is why a move stops: rows differ though nothing has changed them.
type mismatch struct{ key store.RowKey }

func (e *mismatch) Error() string {
	return fmt.Sprintf("the copy differs from the source, in table %d of %q", e.key.Table, e.key.ID)
}

// errGone ends the work on a move that is another node's to do.
var errGone = errors.New("this node does not own the lanes of the move")

// work works on a move until it is over, an order comes, or it is another node's to do;
// false if it is that from the beginning. What fails is tried again, after pauses that grow.
func (m *Mover) work(mv *store.Move) bool {
	j, err := m.newJob(mv)
	switch {
	case m.ctx.Err() != nil || m.next() != mv || errors.Is(err, errGone):
		return false
	case err != nil:
		m.pause(mv, err)
		return false // this node can do nothing for it before an order, or with other settings
	}
	m.setWorking(mv)
	defer m.setWorking(nil)
	for failed := 0; ; {
		ctx, cancel := m.begin()
		if m.next() != mv { // an order that came before has ended the context of another step
			cancel()
			return true
		}
		err := j.advance(ctx)
		interrupted := ctx.Err() != nil
		cancel()
		switch {
		case m.ctx.Err() != nil || m.next() != mv || errors.Is(err, errGone):
			return true
		case err == nil:
			failed = 0
			continue
		case interrupted: // by an order, which the next round sees
			continue
		case j.goesOn() != nil:
			return true
		}
		if j.fatal(err) && j.phase() != store.MoveAborting && !j.unwanted() { // what ends a move is not paused
			m.pause(mv, err)
			return true
		}
		failed++
		m.failed(mv, err)
		pause := m.cfg.Retry << min(failed-1, 7)
		m.log.Warn("moving slots: a step has failed and is tried again", "move", mv.ID, "phase", j.phase(), "in", pause, "err", err)
		m.sleep(pause)
	}
}

// newJob begins the work on a move, if this node owns the lanes for it. In a cluster the
// record says so: a node that has worked on it before saves nothing of it any more.
func (m *Mover) newJob(mv *store.Move) (*job, error) {
	j := &job{Mover: m, mv: mv, followed: -1, pacer: pacer{rested: time.Now()}}
	m.mu.Lock()
	j.slots = mv.Slots
	m.mu.Unlock()
	var err error
	if j.from, j.to, err = j.shards(mv); err != nil {
		return nil, err
	}
	shards := j.cfg.Store.Shards()
	j.source, j.target = shards[j.from], shards[j.to]
	var owned [2]bool
	j.in, owned[0] = j.cfg.Lanes.Term(j.from)
	j.into, owned[1] = j.cfg.Lanes.Term(j.to)
	if !owned[0] || !owned[1] && j.phase() != store.MoveCleaning {
		return nil, errGone
	}
	if m.node() == mv.Node {
		return j, nil
	}
	if err := m.update(mv, func(mv *store.Move) { mv.Node = m.node() }); err != nil {
		m.log.Warn("moving slots: the record was not saved", "move", mv.ID, "err", err)
		return nil, errGone
	}
	return j, nil
}

func (m *Mover) setWorking(mv *store.Move) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.working = mv
}

// goesOn returns errGone if a lane has been another node's since the job began, even if it
// is this one's again: what the job has in memory may be old.
func (j *job) goesOn() error {
	in, owned := j.cfg.Lanes.Term(j.from)
	if !owned || in != j.in {
		return errGone
	}
	if into, owned := j.cfg.Lanes.Term(j.to); j.phase() != store.MoveCleaning && (!owned || into != j.into) {
		return errGone
	}
	return nil
}

// term is that of one of the two lanes.
func (j *job) term(shard int) lane.Term {
	if shard == j.from {
		return j.in
	}
	return j.into
}

// sleep waits, or until an order comes.
func (m *Mover) sleep(d time.Duration) {
	ctx, cancel := m.begin()
	defer cancel()
	wait(ctx, d)
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// fatal reports whether trying again does not help.
func (j *job) fatal(err error) bool {
	var m *mismatch
	switch chat.KindOf(err) {
	case chat.ReadOnly, chat.NotFound, chat.Invalid:
		return true
	}
	return errors.As(err, &m)
}

// pause stops a move because of err, until an operator resumes or aborts it.
func (m *Mover) pause(mv *store.Move, err error) {
	m.log.Error("moving slots: the move is paused, the shards serve as before", "move", mv.ID, "err", err)
	text := words(err)
	if chat.KindOf(err) == chat.ReadOnly {
		text = "a shard of this move is full or read-only: make space, then \"roomtide shards resume\", or give up with \"roomtide shards abort\" (" + text + ")"
	}
	stop := func(mv *store.Move) { mv.Paused, mv.Error = true, text }
	if err := m.update(mv, stop); err != nil && m.ctx.Err() == nil {
		m.log.Warn("moving slots: the record was not saved", "move", mv.ID, "err", err)
		m.mu.Lock()
		stop(mv)
		m.mu.Unlock()
	}
}

// failed notes why the last step failed.
func (m *Mover) failed(mv *store.Move, err error) {
	m.metrics.failures.Inc()
	m.mu.Lock()
	mv.Error = words(err)
	m.mu.Unlock()
}

// words is the message for an error and its cause.
func words(err error) string {
	var e *chat.Error
	if errors.As(err, &e) && e.Text != "" {
		if e.Err != nil {
			return e.Text + " (" + e.Err.Error() + ")"
		}
		return e.Text
	}
	return err.Error()
}

// phase is what there is to do, by the record and the slot map.
func (j *job) phase() store.MovePhase {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mv.Phase
}

// enter begins a phase. It is recorded before anything of it is done. A move that waited
// is not copied if an order to abort came first.
func (j *job) enter(p store.MovePhase) error {
	crashpoint.Hit("move-before-" + string(p))
	now := j.cfg.Now().UnixMilli()
	err := j.update(j.mv, func(mv *store.Move) {
		if p == store.MoveCopying && (mv.Phase == store.MoveAborting || mv.Unwanted) {
			return
		}
		mv.Phase, mv.Error = p, ""
		switch p {
		case store.MoveCopying, store.MoveCleaning, store.MoveAborting:
			mv.At, mv.After = 0, store.RowKey{}
		case store.MoveFlipped:
			mv.Flipped = now
		case store.MoveDone, store.MoveAborted:
			mv.Ended = now
		}
	})
	if err == nil {
		j.log.Info("moving slots", "move", j.mv.ID, "phase", p, "from", j.mv.From, "to", j.mv.To, "slots", j.mv.Slots.Len())
	}
	crashpoint.Hit("move-in-" + string(p))
	if err == nil {
		j.tell()
	}
	return err
}

// advance does the next piece of work.
func (j *job) advance(ctx context.Context) error {
	if err := j.goesOn(); err != nil {
		return err
	}
	if err := j.orient(ctx); err != nil {
		return err
	}
	switch j.phase() {
	case store.MoveWaiting:
		return j.start(ctx)
	case store.MoveCopying:
		return j.copy(ctx)
	case store.MoveFollowing:
		return j.catchUp(ctx)
	case store.MoveVerifying:
		return j.verify(ctx)
	case store.MoveHolding:
		return j.takeOver(ctx)
	case store.MoveFlipped:
		return j.settle(ctx)
	case store.MoveCleaning:
		return j.tidy(ctx)
	case store.MoveAborting:
		return j.abort(ctx)
	}
	return chat.E(chat.Invalid, "this program does not know the phase "+string(j.phase()))
}

// orient brings the record in step with the slot map and with the order to abort.
func (j *job) orient(ctx context.Context) (err error) {
	p := j.phase()
	switch before := p.Follows() || p == store.MoveWaiting; {
	case before && j.ownsAll(j.to):
		return j.enter(store.MoveFlipped)
	case before && j.unwanted():
		return j.enter(store.MoveAborting)
	case p.Follows() && !j.cfg.Lanes.Notes(j.in, &j.slots): // its record was saved when the lane had begun
		return j.enter(store.MoveWaiting)
	case p.Follows() && j.followed < 0:
		if j.followed, err = j.cursor(ctx); err != nil {
			return err
		}
		j.saved = j.followed
		if p != store.MoveCopying { // what was compared was in memory
			return j.enter(store.MoveFollowing)
		}
	}
	return nil
}

// unwanted reports whether there is an order to abort this move.
func (j *job) unwanted() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mv.Unwanted
}

func (j *job) ownsAll(shard int) bool {
	for slot := range j.slots.All() {
		if j.cfg.Store.ShardOf(slot) != shard {
			return false
		}
	}
	return true
}

// cursor is the position up to which the source was followed, as it is stored.
func (j *job) cursor(ctx context.Context) (int64, error) {
	cursors, err := j.source.Cursors(ctx, 0)
	if err != nil {
		return 0, err
	}
	for _, c := range cursors {
		if c.Consumer == Cursor {
			return c.Position, nil
		}
	}
	return 0, chat.E(chat.Invalid, `the cursor of the move is gone from the outbox of the source: "roomtide shards abort", and begin anew`)
}

// start has the lane of the source name what it writes, and its outbox be kept, before
// anything is read.
func (j *job) start(ctx context.Context) error {
	if !j.ownsAll(j.from) {
		return chat.E(chat.Invalid, j.mv.From+` does not own the slots any more: "roomtide shards abort"`)
	}
	if err := j.drop(ctx, j.to); err != nil { // what an earlier attempt may have left
		return err
	}
	if err := j.cfg.Lanes.Note(ctx, j.in, &j.slots); err != nil {
		return err
	}
	at := j.cfg.Lanes.Position(j.from)
	if err := j.cfg.Lanes.SaveCursor(ctx, j.in, store.Cursor{Consumer: Cursor, Position: at}); err != nil {
		return err
	}
	total, err := j.estimate(ctx)
	if err != nil {
		return err
	}
	j.followed, j.saved = at, at
	j.mu.Lock()
	j.mv.Total = total
	j.mu.Unlock()
	return j.enter(store.MoveCopying)
}

// leave undoes what start has done.
func (j *job) leave(ctx context.Context) error {
	if err := j.cfg.Lanes.Note(ctx, j.in, nil); err != nil {
		return err
	}
	return j.cfg.Lanes.SaveCursor(ctx, j.in, store.Cursor{Consumer: Cursor, Drop: true})
}

// abort deletes the copy.
func (j *job) abort(ctx context.Context) error {
	if err := j.leave(ctx); err != nil {
		return err
	}
	return j.clean(ctx, j.to, store.MoveAborted)
}

// settle ends what the source had to do with the slots. In a cluster every node has to know
// the new map before anything is deleted: it asks the source otherwise.
func (j *job) settle(ctx context.Context) error {
	if c := j.cfg.Cluster; c != nil {
		if err := c.Behind(ctx); err != nil {
			c.Tell()
			return err
		}
	}
	if err := j.leave(ctx); err != nil {
		return err
	}
	if err := j.cfg.Lanes.Barrier(ctx, j.in, &j.slots); err != nil {
		return err
	}
	return j.enter(store.MoveCleaning)
}

// tidy deletes what is left in the source, when it was kept for long enough.
func (j *job) tidy(ctx context.Context) error {
	j.mu.Lock()
	left := time.UnixMilli(j.mv.Flipped + j.mv.Keep).Sub(j.cfg.Now())
	j.mu.Unlock()
	if left > 0 {
		wait(ctx, left)
		return ctx.Err()
	}
	return j.clean(ctx, j.from, store.MoveDone)
}
