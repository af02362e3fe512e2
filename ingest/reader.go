package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
)

const (
	// What a reader holds: entries that wait for their rooms, are being sent, or wait to be
	// removed. Others stay in the queue.
	maxHeld  = 1000
	maxBytes = 4 << 20
	readMost = 100 // at once; Sources bound the bytes

	flushMost = 256 // entries that are removed at once

	idle = 500 * time.Millisecond // between calls of Read that return nothing at once

	// What is looked up before messages are sent takes so long at most, in all, until
	// something else is looked at.
	lookupTime = 500 * time.Millisecond

	warnEvery = 10 * time.Second // of entries that are refused

	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Message is what an entry says.
type Message struct {
	Room chat.RoomID

	// Send sends it, each time anew. done runs once, with the error if it was refused,
	// maybe before Send returns. Send does not wait for it; ctx bounds what it looks up
	// before, and nothing else.
	Send func(ctx context.Context, done func(repeated bool, err error))
}

// Config is how a Reader is made. Name, Source and Prepare are required.
type Config struct {
	Name   string // of the queue, in logs and metrics
	Source Source // is the Reader's to close

	// Prepare reads an entry. An error is final.
	Prepare func(Entry) (Message, error)

	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts nothing
}

// Reader sends what is in a queue.
type Reader struct {
	// Set once.
	cfg      Config
	counters *counters
	outcomes chan outcome // has space for everything that can be on its way
	reads    chan read
	stop     context.CancelFunc
	ending   chan context.Context // what Close gives run
	ended    chan struct{}
	closing  sync.Once

	// Owned by run.
	held      map[string]*item // by id
	rooms     map[chat.RoomID]*room
	bytes     int       // of what is held
	count     int       // of entries that were read
	done      []string  // to be removed from the queue
	failed    []*item   // to be kept with their failure
	elsewhere bool      // another node reads
	reading   bool      // Read runs
	readAt    time.Time // Read is not called before
	readBad   int       // failures of Read in a row
	flushAt   time.Time // Done and Fail are not called before
	flushBad  int       // failures of those in a row
	warned    time.Time // when a refused entry was logged
	unwarned  int       // refused since, and not logged
}

// item is an entry that is held.
type item struct {
	Entry
	Message
	number  int // in the order in which they were read
	failure Failure
}

type outcome struct {
	item     *item
	repeated bool
	err      error
}

type read struct {
	entries []Entry
	most    int
	err     error
}

// Start begins to read. Close ends it.
func Start(cfg Config) *Reader {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Reader{
		cfg: cfg, counters: cfg.Metrics.of(cfg.Name), outcomes: make(chan outcome, maxHeld+readMost), reads: make(chan read, 1), stop: stop,
		ending: make(chan context.Context, 1), ended: make(chan struct{}),
		held: map[string]*item{}, rooms: map[chat.RoomID]*room{},
	}
	go r.run(ctx)
	return r
}

// Close stops reading, waits for the outcomes of what was sent until ctx ends, and closes
// the Source. What is not done stays in the queue. It may be called again.
func (r *Reader) Close(ctx context.Context) {
	r.closing.Do(func() {
		r.ending <- ctx
		r.stop()
	})
	<-r.ended
}

func (r *Reader) run(ctx context.Context) {
	defer close(r.ended)
	for ctx.Err() == nil {
		r.flush(ctx)
		r.sendAgain(ctx)
		r.read(ctx)
		r.counters.held.Set(float64(len(r.held)))
		wake := time.NewTimer(r.due())
		select {
		case <-ctx.Done():
		case got := <-r.reads:
			r.take(ctx, got)
		case o := <-r.outcomes:
			r.settle(o)
			r.settleAll()
		case <-wake.C:
		}
		wake.Stop()
	}
	r.end(<-r.ending)
}

// end waits for what was sent, removes it, and closes the Source.
func (r *Reader) end(ctx context.Context) {
	if r.reading {
		<-r.reads // its entries stay in the queue
	}
	r.flushAt = time.Time{}
	for r.flush(ctx); r.flying() && ctx.Err() == nil; r.flush(ctx) {
		select {
		case o := <-r.outcomes:
			r.settle(o)
			r.settleAll()
		case <-ctx.Done():
		}
	}
	r.counters.held.Set(0)
	if err := r.cfg.Source.Close(); err != nil {
		r.cfg.Log.Debug("ingest: the queue did not close", "queue", r.cfg.Name, "err", err)
	}
}

// read has Read called unless it is, or is not due. A reader that holds as much as it may
// asks for nothing, and so stays the reader.
func (r *Reader) read(ctx context.Context) {
	if r.reading || time.Now().Before(r.readAt) {
		return
	}
	most := min(readMost, maxHeld-len(r.held))
	if r.bytes >= maxBytes {
		most = 0
	}
	r.reading = true
	go func() {
		entries, err := r.cfg.Source.Read(ctx, most)
		r.reads <- read{entries, most, err}
	}()
}

// take takes what Read has returned.
func (r *Reader) take(ctx context.Context, got read) {
	r.reading = false
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(got.err, ErrElsewhere):
		r.forget()
		r.readAt = time.Now().Add(idle)
	case got.err != nil:
		pause := chat.Backoff(r.readBad, got.err, minBackoff, maxBackoff)
		r.readAt = time.Now().Add(pause)
		if r.counters.failures.Inc(); r.readBad == 0 {
			r.cfg.Log.Warn("ingest: the queue cannot be read and will be tried again and again", "queue", r.cfg.Name, "err", got.err)
		}
		r.readBad++
		return
	case got.most == 0:
		r.readAt = time.Now().Add(idle)
	}
	if r.readBad > 0 {
		r.readBad = 0
		r.cfg.Log.Info("ingest: the queue is read again", "queue", r.cfg.Name)
	}
	r.elsewhere = got.err != nil
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	for _, e := range got.entries {
		r.add(ctx, e)
	}
}

// add begins to send an entry, unless it is held.
func (r *Reader) add(ctx context.Context, e Entry) {
	if r.held[e.ID] != nil {
		return
	}
	r.count++
	it := &item{Entry: e, number: r.count}
	r.held[e.ID] = it
	r.bytes += len(e.Data)
	var err error
	if it.Message, err = r.cfg.Prepare(e); err != nil {
		r.refuse(it, err)
		return
	}
	r.roomOf(it).add(it)
	r.send(ctx, it.Room)
}

// refuse notes that an entry cannot be sent.
func (r *Reader) refuse(it *item, err error) {
	public := chat.Public(err)
	it.failure = Failure{public.Kind.Code(), public.Text}
	r.failed = append(r.failed, it)
	if time.Since(r.warned) < warnEvery {
		r.unwarned++
		return
	}
	r.cfg.Log.Warn("ingest: an entry cannot be sent, and is kept with the reason", "queue", r.cfg.Name, "entry", it.ID, "room", it.Room, "err", err, "others", r.unwarned)
	r.warned, r.unwarned = time.Now(), 0
}

// settle takes the outcome of what was sent.
func (r *Reader) settle(o outcome) {
	m := r.roomOf(o.item)
	m.flying--
	switch {
	case o.err == nil:
		r.done = append(r.done, o.item.ID)
		r.counters.sent(o.repeated)
	case !chat.KindOf(o.err).Retryable():
		r.refuse(o.item, o.err)
	case r.elsewhere:
		r.drop(o.item)
	default:
		m.add(o.item)
		m.refused = o.err
		r.counters.retries.Inc()
	}
	m.landed()
	r.tidy(o.item.Room)
}

// settleAll takes the outcomes that are there.
func (r *Reader) settleAll() {
	for {
		select {
		case o := <-r.outcomes:
			r.settle(o)
		default:
			return
		}
	}
}

// flush removes from the queue what is done, and what was refused. While that fails it is
// held, and tried again.
func (r *Reader) flush(ctx context.Context) {
	if len(r.done)+len(r.failed) == 0 || time.Now().Before(r.flushAt) {
		return
	}
	err := r.flushSome(ctx)
	switch {
	case err == nil:
		r.flushBad = 0
	case ctx.Err() == nil:
		r.flushAt = time.Now().Add(chat.Backoff(r.flushBad, err, minBackoff, maxBackoff))
		if r.counters.failures.Inc(); r.flushBad == 0 {
			r.cfg.Log.Warn("ingest: what is done cannot be removed from the queue and will be tried again and again", "queue", r.cfg.Name, "err", err)
		}
		r.flushBad++
	}
}

func (r *Reader) flushSome(ctx context.Context) error {
	for len(r.done) > 0 {
		part := r.done[:min(flushMost, len(r.done))]
		if err := r.cfg.Source.Done(ctx, part); err != nil {
			return err
		}
		for _, id := range part {
			r.drop(r.held[id])
		}
		r.done = r.done[len(part):]
	}
	for len(r.failed) > 0 {
		it := r.failed[0]
		if err := r.cfg.Source.Fail(ctx, it.Entry, it.failure); err != nil {
			return err
		}
		r.counters.refused.Inc()
		r.drop(it)
		r.failed = r.failed[1:]
	}
	return nil
}

// drop forgets an entry.
func (r *Reader) drop(it *item) {
	delete(r.held, it.ID)
	r.bytes -= len(it.Data)
}

// forget forgets the entries that wait: another node has them. What is being sent, and
// what waits to be removed, is brought to its end.
func (r *Reader) forget() {
	for id, room := range r.rooms {
		for _, it := range room.waiting {
			r.drop(it)
		}
		room.waiting = nil
		r.tidy(id)
	}
}

// due is how long nothing has to be done by itself.
func (r *Reader) due() time.Duration {
	at := time.Now().Add(time.Minute)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if !r.reading {
		earlier(r.readAt)
	}
	if len(r.done)+len(r.failed) > 0 {
		earlier(r.flushAt)
	}
	for _, room := range r.rooms {
		if len(room.waiting) > 0 && room.flying == 0 {
			earlier(room.until)
		}
	}
	return max(time.Until(at), 0)
}
