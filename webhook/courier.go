package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/internal/crashpoint"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

const (
	// streams is in how many parts the rooms of a shard are divided: each is delivered in
	// order, with one request at a time, and an event that fails holds up one part.
	streams = 8 // and as many for rooms of slots that have come from another shard (arrivals)

	bodyBytes  = 512 << 10 // of a batch, about
	buryAtOnce = 256       // events that are given up at once, at most

	longestPause = 5 * time.Minute // between attempts
	// maxBehind is how many commits of a shard an endpoint may be behind before the oldest
	// are given up: the outbox keeps them for it.
	maxBehind = 1_000_000
)

// courier delivers what one endpoint wants to hear. It is a consumer of the outbox; calls
// for one stream of a shard do not overlap.
type courier struct {
	// Set once.
	s    *Service
	name string
	log  *slog.Logger

	endpoint atomic.Pointer[Endpoint] // replaced when it is changed
	breaker  breaker
	gone     atomic.Bool // it answered 410, and is being disabled
	arrivals arrivals
}

// work is the events of one stream in one entry of the outbox.
type work struct {
	refs []hostevents.Ref // those that are left; the first are taken off when they are delivered
	// tried is how many events the last request had that began with these and failed: the
	// next one has the same, and so the same id.
	tried int
}

func newCourier(s *Service, e *Endpoint) *courier {
	c := &courier{s: s, name: e.consumer(), log: s.cfg.Log.With("webhook", e.ID), breaker: breaker{longest: longestPause}}
	c.endpoint.Store(e)
	return c
}

func (c *courier) consumer() outbox.Consumer {
	from := c.endpoint.Load().From
	return outbox.Consumer{
		Name: c.name, MaxBackoff: longestPause, Quiet: true, Leaves: true, Prompt: true, Parts: c.parts, Together: c.together,
		StartAt: func(ctx context.Context, shard int) (int64, error) {
			return outbox.Before(ctx, &c.s.cfg.Store.Shards()[shard].Reader, c.s.cfg.Lanes.Position(shard), from)
		},
	}
}

// parts divides the events of an entry by stream.
func (c *courier) parts(_ context.Context, shard int, e *store.Entry) ([]outbox.Part, error) {
	if e.Time != 0 && e.Time < c.endpoint.Load().From {
		return nil, nil
	}
	parts := c.arrive(shard, e)
	var by [2 * streams]*work
	for _, r := range hostevents.Of(e, c.endpoint.Load().wants) {
		h := fnv.New32a()
		h.Write([]byte(r.Stream()))
		w := &by[h.Sum32()%streams+c.arrivals.streamsOf(shard, r.Slot())]
		if *w == nil {
			*w = &work{}
		}
		(*w).refs = append((*w).refs, r)
	}
	for stream, w := range by {
		if w == nil {
			continue
		}
		size := 0
		for i := range w.refs {
			size += w.refs[i].Size()
		}
		parts = append(parts, outbox.Part{Target: stream, Size: size, Work: w})
	}
	return parts, nil
}

// together delivers parts of a stream, one request after the other, until one fails.
func (c *courier) together(ctx context.Context, shard int, parts []outbox.Part) (done int, err error) {
	for done < len(parts) && err == nil {
		if flip, ok := parts[done].Work.(*outbox.Flip); ok {
			if err = flip.Passed(ctx); err == nil {
				done++
			}
			continue
		}
		left := events(parts[done:])
		if wait := c.breaker.wait(c.s.cfg.Now()); wait > 0 {
			err = c.bury(ctx, shard, left, wait)
		} else {
			err = c.deliver(ctx, shard, left)
		}
		for len(left) > 0 && len(left[0].Work.(*work).refs) == 0 {
			left = left[1:]
			done++
		}
	}
	return done, err
}

// take returns the first events of parts, so many at most.
func take(parts []outbox.Part, most int) []hostevents.Ref {
	var refs []hostevents.Ref
	for _, p := range parts {
		w := p.Work.(*work)
		refs = append(refs, w.refs[:min(len(w.refs), most-len(refs))]...)
		if len(refs) == most {
			break
		}
	}
	return refs
}

// drop takes the first n events off parts.
func drop(parts []outbox.Part, n int) {
	for _, p := range parts {
		w := p.Work.(*work)
		k := min(n, len(w.refs))
		w.refs, w.tried = w.refs[k:], 0
		if n -= k; n == 0 {
			return
		}
	}
}

// deliver makes one request, with the first events of parts. An event that fails and is
// too old is given up.
func (c *courier) deliver(ctx context.Context, shard int, parts []outbox.Part) error {
	e := c.endpoint.Load()
	if !e.Enabled || c.gone.Load() { // it is about to be removed
		return &chat.Error{Kind: chat.Unavailable, Op: "webhook.deliver", RetryAfter: 1000}
	}
	first := parts[0].Work.(*work)
	most := e.Batch
	if first.tried > 0 {
		most = first.tried
	}
	events, err := c.s.source.Load(ctx, take(parts, most))
	if err != nil {
		return err
	}
	id, body, n := pack(events, e.Batch > 1)
	first.tried = n
	f, err := c.attempt(ctx, e, id, body)
	if err != nil {
		return err
	}
	if f == nil {
		crashpoint.Hit("webhook-delivered")
		c.s.metrics.delivered(events[:n], c.s.cfg.Now())
		drop(parts, n)
		return nil
	}
	if f.gone && c.gone.CompareAndSwap(false, true) {
		c.s.disable(e, func() { c.gone.Store(false) })
	}
	if old := min(n, c.tooOld(e, shard, parts)); old > 0 {
		return c.give(ctx, e, parts, old, f)
	}
	return &chat.Error{Kind: chat.Unavailable, Op: "webhook.deliver", Err: f, RetryAfter: f.after.Milliseconds()}
}

// attempt makes a request if the breaker lets it. An error says that there was none, or
// that it was cut off here.
func (c *courier) attempt(ctx context.Context, e *Endpoint, id string, body []byte) (*failure, error) {
	if wait := c.breaker.begin(c.s.cfg.Now()); wait > 0 {
		return nil, paused(wait)
	}
	if !c.s.requests.begin() {
		c.breaker.cancelled()
		return nil, outbox.Later{After: time.Minute}
	}
	defer c.s.requests.end()
	begun := c.s.cfg.Now()
	crashpoint.Hit("webhook-before-post")
	_, err := c.s.caller.call(ctx, e.URL, e.Secrets, id, body)
	if ctx.Err() != nil && err != nil {
		c.breaker.cancelled()
		return nil, err
	}
	var f *failure
	errors.As(err, &f)
	failing, _, _ := c.breaker.state()
	c.breaker.end(f, c.s.cfg.Now())
	c.s.metrics.requested(f, c.s.cfg.Now().Sub(begun))
	switch {
	case f != nil && !failing:
		c.log.Warn("webhook: an endpoint fails; it is tried again, in order", "host", host(e.URL), "err", f)
	case f == nil && failing:
		c.log.Info("webhook: the endpoint answers again", "host", host(e.URL))
	}
	return f, nil
}

// pack is the body of a request, and its id, with as many of the events as fit.
func pack(events []hostevents.Event, batch bool) (id string, body []byte, n int) {
	if !batch {
		return events[0].ID, events[0].AppendJSON(nil), 1
	}
	h := sha256.New()
	list := []byte{}
	for n < len(events) && len(list) < bodyBytes {
		if n > 0 {
			list = append(list, ',')
		}
		list = events[n].AppendJSON(list)
		h.Write([]byte(events[n].ID))
		n++
	}
	id = "bat_" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
	body = append(wire.AppendHead(nil, "batch", id, events[n-1].Time), `,"data":{"events":[`...)
	return id, append(append(body, list...), "]}}"...), n
}

// expired reports whether an event is too old to be tried again.
func (c *courier) expired(e *Endpoint, shard int, p *outbox.Part, r *hostevents.Ref) bool {
	since := time.UnixMilli(max(r.Time, e.Ordered))
	return c.s.cfg.Now().Sub(since) > c.s.cfg.RetryFor || c.s.cfg.Lanes.Position(shard)-p.Position > maxBehind
}

// paused is the error of a request that the breaker does not let.
func paused(wait time.Duration) error {
	return &chat.Error{Kind: chat.Unavailable, Op: "webhook.deliver", Text: "the endpoint is left alone for a while", RetryAfter: max(1, wait.Milliseconds())}
}

// bury gives up the first events of parts that are too old, without trying them, while the
// breaker lets no request for wait.
func (c *courier) bury(ctx context.Context, shard int, parts []outbox.Part, wait time.Duration) error {
	e := c.endpoint.Load()
	n := c.tooOld(e, shard, parts)
	if n == 0 {
		return paused(wait)
	}
	_, _, last := c.breaker.state()
	return c.give(ctx, e, parts, n, &failure{result: "down", text: last})
}

// tooOld is how many of the first events of parts are expired, of so many as are given up
// at once.
func (c *courier) tooOld(e *Endpoint, shard int, parts []outbox.Part) (n int) {
	for i := range parts {
		for j := range parts[i].Work.(*work).refs {
			if n == buryAtOnce || !c.expired(e, shard, &parts[i], &parts[i].Work.(*work).refs[j]) {
				return n
			}
			n++
		}
	}
	return n
}

// give gives up the first n events of parts.
func (c *courier) give(ctx context.Context, e *Endpoint, parts []outbox.Part, n int, f *failure) error {
	if err := c.s.saveDead(ctx, e, take(parts, n), f.Error()); err != nil {
		return err
	}
	crashpoint.Hit("webhook-dead")
	c.log.Warn("webhook: events are given up; roomtide webhook dead shows them, retry delivers them", "events", n, "host", host(e.URL), "err", f)
	c.s.metrics.dead(n)
	drop(parts, n)
	return nil
}
