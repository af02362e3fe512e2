package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/chat"
)

const (
	// What is read ahead: entries, and bytes unless one entry has more.
	aheadEntries = 64
	aheadBytes   = 4 << 20

	// A server that is gone is noticed when it has said nothing for two heartbeats.
	heartbeat = 500 * time.Millisecond
	askFor    = 5 * time.Second // one request for entries

	// A consumer that is not asked for entries is deleted by the servers. A new one is made
	// when entries are wanted again.
	unused = 15 * time.Second

	// Between two attempts.
	retryFirst = 100 * time.Millisecond
	retryLast  = time.Second

	// An entry that is not there is looked for so often: a leader that was just elected
	// may not have all entries at hand.
	lookAgain = 4
)

// reading is one call of Read. Owned by it.
type reading struct {
	q     *Queue
	lane  int
	take  func(uint64, []byte) error
	at    uint64    // the entry that was taken last
	fails int       // since an entry was taken
	told  time.Time // when a failure was logged
}

// Read implements queue.Queue. It does not use the consumers of nats.go that heal
// themselves: after the death of a server they took up to 20 s.
func (q *Queue) Read(ctx context.Context, lane int, after uint64, take func(number uint64, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)()
	r := &reading{q: q, lane: lane, take: take, at: after}
	wait := retryFirst
	for {
		before := r.at
		err := r.some(ctx)
		switch {
		case q.ctx.Err() != nil:
			return errClosed("read")
		case ctx.Err() != nil && !isTaker(err):
			return nil
		case isTaker(err):
			return err.(*takerError).error
		case chat.KindOf(err) == chat.Conflict:
			return err
		}
		if r.at != before {
			wait, r.fails = retryFirst, 0
		}
		r.failed(err)
		pause(ctx, wait)
		wait = min(2*wait, retryLast)
	}
}

// takerError is an error that take has returned.
type takerError struct{ error }

func isTaker(err error) bool {
	_, ok := err.(*takerError)
	return ok
}

const (
	// toldAt is the failure in a row that is logged: the first one ends a consumer that was
	// not used for long.
	toldAt    = 3
	toldAgain = 15 * time.Second // while it goes on
)

func (r *reading) failed(err error) {
	r.q.failures.WithLabelValues("read").Inc()
	if r.fails++; r.fails == toldAt || r.fails > toldAt && time.Since(r.told) >= toldAgain {
		r.told = time.Now()
		r.q.cfg.Log.Warn("the queue is not read; this goes on when its servers answer", "lane", r.lane, "behind", r.at, "err", err)
	}
}

// some reads with one consumer, until it fails.
func (r *reading) some(ctx context.Context) error {
	if err := r.stands(ctx); err != nil {
		return err
	}
	c, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	for delivered := uint64(0); ; {
		if delivered, err = r.fetch(ctx, c, delivered); err != nil {
			return err
		}
	}
}

// stands is a Conflict if the entry that was taken last is not there.
func (r *reading) stands(ctx context.Context) error {
	if r.at == 0 {
		return nil
	}
	for try := 1; ; try++ {
		found, err := r.q.find(ctx, r.lane, r.at)
		if err != nil || found == r.at {
			return err
		}
		if try == lookAgain {
			return r.gone(ctx)
		}
		if !pause(ctx, retryLast/2) {
			return ctx.Err()
		}
	}
}

// gone is the error for an entry that is not there.
func (r *reading) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.q.cfg.timing.answer)
	defer cancel()
	info, err := r.q.info(ctx)
	if err != nil {
		return explain("read", err)
	}
	why := "it was trimmed"
	switch {
	case r.at > info.State.LastSeq:
		why = "the queue ends before it"
	case r.at < info.Config.FirstSeq:
		why = "the queue was made anew"
	}
	return &chat.Error{Kind: chat.Conflict, Op: "queue.read", Subject: r.q.name, Text: fmt.Sprintf(
		"entry %d of lane %d is not there: %s; the stream has %d to %d", r.at, r.lane, why, info.State.FirstSeq, info.State.LastSeq)}
}

// consumer makes a consumer that begins behind the entry that was taken last. It is in
// the memory of one server, which need not be the leader of the stream.
func (r *reading) consumer(ctx context.Context) (js.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.q.cfg.timing.answer)
	defer cancel()
	return r.q.js.CreateConsumer(ctx, r.q.name, js.ConsumerConfig{
		FilterSubject: r.q.subject(r.lane), DeliverPolicy: js.DeliverByStartSequencePolicy, OptStartSeq: r.at + 1,
		AckPolicy: js.AckNonePolicy, MaxDeliver: 1, MemoryStorage: true, Replicas: 1, InactiveThreshold: unused,
	})
}

var errLost = errors.New("messages of the queue were lost on their way")

// fetch asks the consumer for entries once and takes them. Delivered counts what the
// consumer has sent, so that what is lost on the way is missed.
func (r *reading) fetch(ctx context.Context, c js.Consumer, delivered uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	most := max(aheadBytes, 2*int(r.q.cfg.NATS.MaxPayload()))
	batch, err := c.Fetch(aheadEntries, js.FetchContext(ctx), js.FetchHeartbeat(heartbeat), js.FetchMaxBytes(most))
	if err != nil {
		return delivered, err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return delivered, err
		}
		if delivered++; meta.Sequence.Consumer != delivered {
			return delivered, errLost
		}
		if err := r.entry(meta.Sequence.Stream, m.Data()); err != nil {
			return delivered, err
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return delivered, err
	}
	return delivered, nil
}

func (r *reading) entry(number uint64, data []byte) error {
	if err := r.take(number, data); err != nil {
		return &takerError{err}
	}
	r.at = number
	r.q.saw(number)
	r.q.read.Inc()
	return nil
}
