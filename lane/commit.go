package lane

import (
	"context"
	"errors"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/store"
)

// askKeysFor is for how long keys are looked up first when one was a repeat.
const askKeysFor = time.Second

// decideAndCommit decides the changes and writes what follows from them.
//
// Almost every key of a message is new, so that the database is not asked for keys
// before the messages are written: over a network that would be a round trip, and a
// third of the work (decision 15). It refuses a key that it has, and then everything is
// decided again with what is stored. For a while after that keys are asked for at
// once: repeats come in crowds, when clients come back.
func (l *lane) decideAndCommit(ctx context.Context, items []item) (*batch, []outcome, error) {
	now := l.cfg.Now()
	keys := now.Before(l.askKeysUntil)
	for {
		b, outcomes, err := l.decide(ctx, items, keys)
		if err != nil {
			return nil, nil, err
		}
		if b.keyMatters && !keys {
			keys = true
			continue
		}
		ch, next := l.note(b.changes(), items)
		if ch == nil && l.writeErr.Load() == nil {
			l.progress = next // it is written with the next batch that is
			return b, outcomes, nil
		}
		if ch == nil {
			ch = &store.Changes{} // a probe: moves the position, writes nothing else
		}
		if early(items) {
			settle(items, outcomes)
		}
		err = l.commit(ctx, ch, keys)
		if err == nil {
			l.progress = next
		}
		if err == errTaken {
			keys, l.askKeysUntil = true, now.Add(askKeysFor)
			l.metrics.repeats.Inc()
			continue
		}
		return b, outcomes, err
	}
}

// decide loads what the changes depend on, with the messages of their keys or without,
// and decides them in memory.
func (l *lane) decide(ctx context.Context, items []item, keys bool) (*batch, []outcome, error) {
	b := newBatch(l.cfg.Now().UnixMilli(), len(items), l.cfg.Store.Base(), l.cache, &l.cfg.Limits)
	b.pushOff = l.cfg.PushOff
	b.moving, b.askKeys = l.moving.Load(), keys
	for _, it := range items {
		b.need(it.change)
		b.addStep(it.step)
	}
	if err := b.load(ctx, l.db); err != nil {
		l.writeFailed(err)
		return nil, nil, err
	}
	l.outcomes = l.outcomes[:0]
	for _, it := range items {
		reply, err := b.apply(it.change)
		l.outcomes = append(l.outcomes, outcome{reply, err})
	}
	return b, l.outcomes, nil
}

// errTaken is the error of a commit that wrote nothing because a key is there already.
var errTaken = errors.New("a key is taken")

// commit writes the batch and moves the position. On an error nothing was
// written, and the cache is cleared. asked says that the keys in ch were looked up.
func (l *lane) commit(ctx context.Context, ch *store.Changes, asked bool) error {
	start := time.Now()
	crashpoint.Hit("before-commit")
	err := l.db.Commit(ctx, 0, l.at, ch)
	crashpoint.Hit("after-commit")
	l.metrics.commit.Observe(time.Since(start).Seconds())
	if err != nil && chat.KindOf(err) == chat.Conflict && !asked {
		l.cache.clear()
		return errTaken
	}
	if err != nil && chat.KindOf(err) != chat.Fenced && chat.KindOf(err) != chat.ReadOnly {
		err = l.resolveCommit(err)
	}
	if err != nil {
		l.cache.clear()
		l.writeFailed(err)
		return err
	}
	l.at = l.at.Next()
	if l.writeErr.Swap(nil) != nil {
		l.log.Warn("writing works again")
	}
	l.committed.move(l.at.N, ch)
	return nil
}

// resolveCommit finds out whether a commit that ended in err has happened: the
// stored position says so, if nobody else has acquired the lane meanwhile. It returns
// nil if it has.
func (l *lane) resolveCommit(err error) error {
	before, epoch := l.at.N, l.at.Epoch
	if acquireErr := l.acquire(); acquireErr != nil {
		l.log.Error("the position of the lane is unknown", "err", acquireErr)
		return err
	}
	if l.at.N == before+1 && l.at.Epoch == epoch+1 {
		l.at.N = before // commit moves it on
		return nil
	}
	return err
}

// acquire makes this process the owner of the lane once more, and reads the
// position.
func (l *lane) acquire() error {
	at, err := l.db.Acquire(context.Background(), 0)
	l.positionUnknown.Store(err != nil)
	if err == nil {
		l.at = at
		l.committed.begin(at.N)
	}
	return err
}

// writeFailed records that writing does not work, and logs it the first time.
func (l *lane) writeFailed(err error) {
	if chat.KindOf(err) == chat.Fenced && !l.fenced {
		l.fenced = true
		if l.cfg.Cluster != nil {
			l.log.Info("another node has taken over this shard", "err", err)
			return
		}
		l.log.Error("another process has taken over this shard", "err", err)
		l.cfg.OnFenced(l.shard)
	}
	if l.writeErr.Swap(&err) == nil {
		l.log.Error("WRITING DOES NOT WORK: nothing is lost, clients are told to try again", "kind", chat.KindOf(err).Code(), "err", err)
	}
}
