package outbox

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// What a worker has read and not done is bounded; beyond that it reads no further until
// there is space again.
const (
	maxTasks = 16 << 10
	maxBytes = 4 << 20
)

// taskCost is about what a task takes beside Part.Size.
const taskCost = 200

// queues are what a worker has read and not done yet, a queue for each target. A queue
// has a goroutine while there is something in it: a target that fails holds up no other.
// The worker stands at the oldest entry of which a part is not done.
type queues struct {
	// Set once.
	w        *worker
	ctx      context.Context
	stopping <-chan struct{} // closed: what fails is tried once more, and then left
	space    chan struct{}   // cap 1: there is space again
	working  sync.WaitGroup  // goroutines of queues

	mu sync.Mutex

	// Guarded by mu.
	read    int64    // the position up to which entries were read
	undone  []undone // by ascending position
	tasks   int      // that wait or are worked on
	bytes   int      // of these
	targets map[int]*queue
}

// undone is an entry with parts that are not done.
type undone struct {
	position int64
	parts    int
}

// queue is what one target has to do, in the order of entries. Guarded by queues.mu.
type queue struct {
	tasks  []Part
	busy   bool // its goroutine runs
	gaveUp bool // nothing more is tried before the next start
}

func newQueues(ctx context.Context, w *worker, stopping <-chan struct{}) *queues {
	return &queues{w: w, ctx: ctx, stopping: stopping, space: make(chan struct{}, 1), read: w.at.Load(), targets: map[int]*queue{}}
}

// add gives the parts of an entry to their targets.
func (q *queues) add(position int64, parts []Part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(parts) > 0 {
		q.undone = append(q.undone, undone{position, len(parts)})
	}
	for _, p := range parts {
		t := q.targets[p.Target]
		if t == nil {
			t = &queue{}
			q.targets[p.Target] = t
		}
		if t.gaveUp {
			continue // it stays undone
		}
		p.Size += taskCost
		q.tasks, q.bytes = q.tasks+1, q.bytes+p.Size
		p.Position = position
		t.tasks = append(t.tasks, p)
		if !t.busy {
			t.busy = true
			q.working.Go(func() { q.run(t) })
		}
	}
	q.read = position
	q.stand()
}

// advance notes that there are no entries up to the position that were not read.
func (q *queues) advance(position int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.read = max(q.read, position)
	q.stand()
}

// stand says how far the worker is. Called with mu held.
func (q *queues) stand() {
	at := q.read
	if len(q.undone) > 0 {
		at = q.undone[0].position - 1
	}
	q.w.at.Store(at)
}

// readTo is the position up to which entries were read; full: there is no space for more.
func (q *queues) readTo() (position int64, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.read, q.full()
}

func (q *queues) full() bool { return q.tasks >= maxTasks || q.bytes >= maxBytes }

// run works on a queue until it is empty, or given up.
func (q *queues) run(t *queue) {
	failed := 0
	for {
		next, ok := q.head(t)
		if !ok {
			return
		}
		done, err := q.do(next)
		if done > 0 {
			failed = 0
			q.done(t, next[:done])
		}
		if err == nil {
			continue
		}
		if q.ctx.Err() != nil || q.last() && failed < 0 {
			q.giveUp(t)
			return
		}
		failed = q.pause(&next[min(done, len(next)-1)], failed, err)
	}
}

// do does parts, and returns how many of the first are done.
func (q *queues) do(parts []Part) (int, error) {
	if q.w.Together != nil {
		return q.w.Together(q.ctx, q.w.shard, parts)
	}
	if err := parts[0].Do(q.ctx); err != nil {
		return 0, err
	}
	return 1, nil
}

// pause waits until a task is tried again, and returns how often it has failed; below
// 0: it is tried for the last time.
func (q *queues) pause(next *Part, failed int, err error) int {
	w := q.w
	if later := (Later{}); errors.As(err, &later) {
		return q.wait(later.After, failed)
	}
	pause := w.backoff(failed, err)
	failed++
	w.failures.Inc()
	level := slog.LevelWarn
	if w.Quiet {
		level = slog.LevelDebug
	}
	w.log.Log(q.ctx, level, "a consumer of the outbox has failed and will be tried again",
		"position", next.Position, "target", next.Target, "failures", failed, "in", pause, "err", err)
	return q.wait(pause, failed)
}

// wait returns failed after a time, or -1 if the worker ends.
func (q *queues) wait(pause time.Duration, failed int) int {
	select {
	case <-time.After(pause):
		return failed
	case <-q.ctx.Done():
	case <-q.stopping:
	}
	return -1
}

// last reports whether the worker is to end.
func (q *queues) last() bool {
	select {
	case <-q.stopping:
		return true
	default:
		return false
	}
}

// together is how many parts Consumer.Together gets at most.
const together = 256

// head returns the first parts of a queue, false if there are none: then the goroutine of
// the queue has ended.
func (q *queues) head(t *queue) ([]Part, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.busy = len(t.tasks) > 0; !t.busy {
		t.tasks = nil
		return nil, false
	}
	n := 1
	if q.w.Together != nil {
		n = min(together, len(t.tasks))
	}
	return slices.Clone(t.tasks[:n]), true
}

// done takes parts that were done, the first of their queue, off it.
func (q *queues) done(t *queue, parts []Part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(t.tasks[:len(parts)])
	t.tasks = t.tasks[len(parts):]
	size := 0
	for _, d := range parts {
		size += d.Size
		i, _ := slices.BinarySearchFunc(q.undone, d.Position, func(u undone, at int64) int { return cmp.Compare(u.position, at) })
		if q.undone[i].parts--; q.undone[i].parts == 0 {
			q.undone = slices.Delete(q.undone, i, i+1)
			q.stand()
		}
	}
	q.w.done.Add(int64(len(parts)))
	q.release(len(parts), size)
}

// giveUp leaves what is in a queue to the next start. It stays undone.
func (q *queues) giveUp(t *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for i := range t.tasks {
		size += t.tasks[i].Size
	}
	q.release(len(t.tasks), size)
	t.tasks, t.busy, t.gaveUp = nil, false, true
}

// release gives space back. Called with mu held.
func (q *queues) release(tasks, bytes int) {
	full := q.full()
	q.tasks, q.bytes = q.tasks-tasks, q.bytes-bytes
	if full && !q.full() {
		select {
		case q.space <- struct{}{}:
		default:
		}
	}
}
