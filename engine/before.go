package engine

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// maxBefore is how many changes may be on their way to their lanes while messages are
// asked about.
const maxBefore = 2048

// Before is a message that is about to be stored, or the edit of one.
type Before struct {
	Room    chat.RoomID
	User    chat.UserID // who writes it
	Seq     chat.Seq    // the message that is edited; 0: a new one
	Server  bool        // the host's back end says it
	Key     string      // the sender's, empty if none was given
	ReplyTo chat.Seq

	// What may be replaced.
	Text string
	Data []byte // JSON in canonical form, nil if none
}

// before asks about messages off the lanes' goroutines. Several are asked about at once;
// the changes that a user makes in a room go to the lane in the order in which they came
// nevertheless, and so do those messages of a back end in a room that it gives in an order,
// whoever writes them. Its other changes wait for none of them: the host may make some, and
// wait for them, before it answers about a message.
//
// There is a goroutine for each message that is asked about. It ends when the answer is
// there, or its time is over.
type before struct {
	// Set once.
	cfg      *Config
	rejected prometheus.Counter

	mu sync.Mutex

	// Guarded by mu.
	running int
	last    map[turn]chan struct{} // closed when the change that came last has gone to the lane
}

// turn is what keeps its order; the zero value is none.
type turn struct {
	room    chat.RoomID
	user    chat.UserID // empty if ordered
	ordered bool        // the messages that a back end gives in an order (handInOrder)
}

func newBefore(cfg *Config) *before {
	b := &before{cfg: cfg, last: map[turn]chan struct{}{}, rejected: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "roomtide_before_message_refused_total", Help: "Changes refused as too many wait for before_message.",
	})}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(b.rejected)
	}
	return b
}

// hand gives a change that was prepared to its lane, once it was asked about.
func (e *Engine) hand(c change.Change, done change.Done) { e.handIn(turnOf(c), c, done) }

// handInOrder is hand for one of several changes, of which messages of one room keep their
// order, also where they are a back end's and of several users.
func (e *Engine) handInOrder(c change.Change, done change.Done) {
	t := turnOf(c)
	if send, ok := c.(*change.Send); ok && send.Server {
		t = turn{room: send.Room, ordered: true}
	}
	e.handIn(t, c, done)
}

func (e *Engine) handIn(t turn, c change.Change, done change.Done) {
	if e.before == nil || t == (turn{}) {
		e.cfg.Lanes.Submit(c, done)
		return
	}
	e.before.hand(t, c, done)
}

// handAndWait is hand for a caller that waits. If ctx ends first, the error is Unavailable
// and the change may still happen.
func (e *Engine) handAndWait(ctx context.Context, c change.Change) (change.Reply, error) {
	if e.before == nil {
		return e.cfg.Lanes.Do(ctx, c)
	}
	outcome := make(chan Outcome, 1)
	e.hand(c, func(r change.Reply, err error) { outcome <- Outcome{Reply: r, Err: err} })
	select {
	case o := <-outcome:
		return o.Reply, o.Err
	case <-ctx.Done():
		err := unanswered("engine.do")
		err.Err = ctx.Err()
		return change.Reply{}, err
	}
}

// hand never blocks: the request to the host runs in a goroutine of its own.
func (b *before) hand(t turn, c change.Change, done change.Done) {
	message := asked(c)
	b.mu.Lock()
	earlier := b.last[t]
	switch {
	case message == nil && earlier == nil:
		b.mu.Unlock()
		b.cfg.Lanes.Submit(c, done)
		return
	case b.running >= maxBefore:
		b.mu.Unlock()
		b.rejected.Inc()
		done(change.Reply{}, &chat.Error{Kind: chat.Busy, Op: "engine.before", Text: "too many messages wait to be checked", RetryAfter: 1000})
		return
	}
	b.running++
	gone := make(chan struct{})
	b.last[t] = gone
	b.mu.Unlock()
	go func() {
		defer b.end(t, gone)
		b.run(c, message, earlier, done)
	}()
}

// run asks about a change, waits for its turn, and hands it on.
func (b *before) run(c change.Change, m *Before, earlier <-chan struct{}, done change.Done) {
	var err error
	if m != nil {
		err = b.ask(c, m)
	}
	if earlier != nil {
		<-earlier
	}
	if err != nil {
		done(change.Reply{}, err)
		b.cfg.AfterLate()
		return
	}
	b.cfg.Lanes.Submit(c, done)
}

// end lets the next change go.
func (b *before) end(t turn, gone chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	if b.last[t] == gone {
		delete(b.last, t)
	}
	close(gone)
}

// ask puts what was answered into the change. What the host makes of a message is bound by
// the limits, as the message itself is.
func (b *before) ask(c change.Change, m *Before) error {
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.Patience)
	defer cancel()
	if err := b.cfg.BeforeMessage(ctx, m); err != nil {
		return err
	}
	d := chat.Draft{Text: m.Text, Data: m.Data}
	if err := d.Check(&b.cfg.Limits); err != nil {
		return &chat.Error{Kind: chat.Internal, Op: "engine.before", Text: "the message was changed into one that is not allowed", Err: err}
	}
	switch c := c.(type) {
	case *change.Send:
		c.Draft.Text, c.Draft.Data = m.Text, m.Data
	case *change.Edit:
		c.Text, c.Data = m.Text, m.Data
	}
	return nil
}

// asked is what is asked about a change; nil: nothing is.
func asked(c change.Change) *Before {
	switch c := c.(type) {
	case *change.Send:
		return &Before{Room: c.Room, User: c.User, Server: c.Server, Key: c.Draft.Key, ReplyTo: c.Draft.ReplyTo, Text: c.Draft.Text, Data: c.Draft.Data}
	case *change.Edit:
		return &Before{Room: c.Room, User: c.User, Seq: c.Seq, Server: c.Server, Text: c.Text, Data: c.Data}
	}
	return nil
}

// turnOf is whose change it is, of those that follow messages: without order, a member
// could be gone, or the room archived, before what they wrote last.
func turnOf(c change.Change) turn {
	switch c := c.(type) {
	case *change.Send:
		return turn{room: c.Room, user: c.User}
	case *change.Edit:
		return turn{room: c.Room, user: c.User}
	case *change.Delete:
		return turn{room: c.Room, user: c.User}
	case *change.React:
		return turn{room: c.Room, user: c.User}
	case *change.Leave:
		return turn{room: c.Room, user: c.User}
	case *change.SetMember:
		return turnBy(c.Room, c.By, c.Server)
	case *change.SetRoom:
		return turnBy(c.Room, c.By, c.Server)
	}
	return turn{}
}

// turnBy is the turn of a user who moderates. What a back end moderates has none (before).
func turnBy(room chat.RoomID, user chat.UserID, server bool) turn {
	if server {
		return turn{}
	}
	return turn{room: room, user: user}
}
