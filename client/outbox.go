package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// Sent is the number that a message got.
type Sent struct {
	Key  string // under which it was sent
	Seq  chat.Seq
	Rev  chat.Rev
	Time int64 // Unix milliseconds, the server's
}

// retryPause is how long the outbox rests after the server said "later"
// without saying when.
const retryPause = 250 * time.Millisecond

// outbox holds the messages that have no number yet. Guarded by the client's mu.
type outbox struct {
	room    chan struct{} // a token for every message in the outbox; its capacity is the bound
	n       int64
	waiting []*outgoing         // to be sent, ascending n
	flying  map[*outgoing]int64 // sent and not answered, with the command's number
	queued  int                 // of flying: accepted by the server's durable queue
	resting bool                // the server said "later"
}

// outgoing is a message on its way.
type outgoing struct {
	n    int64 // order of Send
	cmd  wire.Command
	gone bool // the sender has given up: not to be sent again
	in   bool // the server's durable queue has it, as far as the present connection told
	done func(Sent, error)
}

func newOutbox(size int) outbox {
	return outbox{room: make(chan struct{}, size), flying: map[*outgoing]int64{}}
}

// Send sends a message and waits for its number. A draft without a key gets
// one. The message is sent again, with the same key, whenever the connection
// is lost or the server says "later", until the server has decided or ctx ends.
// When ctx ends, it is not known whether the message is stored; sending it
// again with the same key (Sent.Key, also returned with an error) is safe.
func (c *Client) Send(ctx context.Context, room chat.RoomID, d chat.Draft) (Sent, error) {
	defer c.events.calling()()
	select {
	case c.outbox.room <- struct{}{}:
	case <-ctx.Done():
		return Sent{Key: d.Key}, ctx.Err()
	case <-c.ctx.Done():
		return Sent{Key: d.Key}, c.Err()
	}
	type outcome struct {
		sent Sent
		err  error
	}
	got := make(chan outcome, 1)
	o := c.send(room, d, func(s Sent, err error) { got <- outcome{s, err} })
	select {
	case r := <-got:
		return r.sent, r.err
	case <-ctx.Done():
		c.giveUp(o)
		return Sent{Key: o.cmd.Key}, ctx.Err()
	}
}

// SendAsync is Send without waiting: done is called once, with the outcome, by
// the client's reading goroutine or before SendAsync returns; it must not
// block. When the outbox is full the error is Busy and nothing was sent. It
// returns the key of the message.
func (c *Client) SendAsync(room chat.RoomID, d chat.Draft, done func(Sent, error)) string {
	select {
	case c.outbox.room <- struct{}{}:
		return c.send(room, d, done).cmd.Key
	default:
		done(Sent{Key: d.Key}, chat.E(chat.Busy, "the outbox is full"))
		return d.Key
	}
}

// send puts a message in the outbox; the caller has taken a place for it.
func (c *Client) send(room chat.RoomID, d chat.Draft, done func(Sent, error)) *outgoing {
	if d.Key == "" {
		d.Key = newKey()
	}
	o := &outgoing{done: done, cmd: wire.Command{
		Type: wire.Message, Room: room, Text: d.Text, HasText: true, Key: d.Key, ReplyTo: d.ReplyTo, Data: d.Data,
		Mentions: d.Mentions,
	}}
	c.mu.Lock()
	err := c.err
	if err == nil {
		c.outbox.n++
		o.n = c.outbox.n
		c.outbox.waiting = append(c.outbox.waiting, o)
		c.flush()
	}
	c.mu.Unlock()
	if err != nil {
		<-c.outbox.room
		done(Sent{Key: d.Key}, err)
	}
	return o
}

// newKey is a UUIDv7: unique, and near each other in the server's index when
// they are near in time.
func newKey() string { return uuid.Must(uuid.NewV7()).String() }

// flush sends what waits, as far as the window allows. Caller holds mu.
func (c *Client) flush() {
	b := &c.outbox
	window := cmp.Or(c.limits.InFlight, 64)
	for c.link != nil && !b.resting && len(b.waiting) > 0 && len(b.flying)-b.queued < window {
		o := b.waiting[0]
		b.waiting = b.waiting[1:]
		c.command(&o.cmd, &call{
			done:     func(f *wire.ServerFrame) { c.answered(o, f) },
			accepted: func() { c.accepted(o) },
		})
		b.flying[o] = o.cmd.ID
	}
}

// accepted notes that the server's durable queue has the message. It is on its way still,
// and holds up no other: the server takes more.
func (c *Client) accepted(o *outgoing) {
	c.mu.Lock()
	b := &c.outbox
	_, ours := b.flying[o]
	first := ours && !o.in
	if first {
		o.in = true
		b.queued++
		c.flush()
	}
	c.mu.Unlock()
	if first && c.opts.Accepted != nil {
		c.opts.Accepted(o.cmd.Room, o.cmd.Key)
	}
}

// answered decides about a message that was sent: numbered, refused, or to be
// sent again. f is nil if the connection was lost first.
func (c *Client) answered(o *outgoing, f *wire.ServerFrame) {
	again := f == nil || f.Err != nil && f.Err.Kind.Retryable()
	c.mu.Lock()
	b := &c.outbox
	_, ours := b.flying[o]
	delete(b.flying, o)
	if ours && o.in {
		o.in = false
		b.queued--
	}
	if again && ours && !o.gone {
		i, _ := slices.BinarySearchFunc(b.waiting, o.n, func(w *outgoing, n int64) int { return cmp.Compare(w.n, n) })
		b.waiting = slices.Insert(b.waiting, i, o)
		if f != nil {
			c.rest(max(time.Duration(f.Err.RetryAfter)*time.Millisecond, retryPause))
		}
		c.mu.Unlock()
		return
	}
	c.flush()
	c.mu.Unlock()
	if !ours {
		return // given back by drain
	}
	<-b.room
	switch {
	case f == nil || again: // gone: the sender has given up
		o.done(Sent{Key: o.cmd.Key}, errors.New("client: given up"))
	case f.Err != nil:
		o.done(Sent{Key: o.cmd.Key}, f.Err)
	default:
		o.done(Sent{Key: o.cmd.Key, Seq: f.Seq, Rev: f.Rev, Time: f.Time}, nil)
	}
}

// rest sends nothing for a while. Caller holds mu.
func (c *Client) rest(pause time.Duration) {
	if c.outbox.resting {
		return
	}
	c.outbox.resting = true
	time.AfterFunc(pause, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.outbox.resting = false
		c.flush()
	})
}

// giveUp takes a message out of the outbox; one that is flying leaves it with
// its answer.
func (c *Client) giveUp(o *outgoing) {
	c.mu.Lock()
	b := &c.outbox
	o.gone = true
	i := slices.Index(b.waiting, o)
	if i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		<-b.room
	}
}

// drain empties the outbox and returns what was in it, in order. The caller holds mu.
func (b *outbox) drain() []*outgoing {
	all := b.waiting
	for o := range b.flying {
		all = append(all, o)
	}
	slices.SortFunc(all, func(x, y *outgoing) int { return cmp.Compare(x.n, y.n) })
	b.waiting = nil
	clear(b.flying)
	b.queued = 0
	for range all {
		<-b.room
	}
	return all
}
