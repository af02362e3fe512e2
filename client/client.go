package client

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// holdTime is the least lifetime of a connection that resets the backoff.
const holdTime = 10 * time.Second

// Client is one user's session with a server, over as many connections as it takes.
// Its methods are safe for concurrent use.
type Client struct {
	// Set once.
	opts   Options
	log    *slog.Logger
	events *queue
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	ended  chan struct{} // closed when run has returned

	// Guarded by mu.
	mu      sync.Mutex
	link    *link         // nil while there is no greeted connection
	changed chan struct{} // closed and replaced when link or err changes
	err     error         // the reason for which the client does not reconnect
	user    chat.UserID
	limits  chat.Limits
	lastID  int64
	calls   map[int64]*call       // commands on the present link that wait for their answer
	rooms   map[chat.RoomID]*room // the map; what is in a room is owned by run
	outbox  outbox

	background bool // Foreground said so; guarded by mu
}

// call is a command that waits for its reply. done runs in the reading
// goroutine, and may put events; f is nil if the connection was lost first.
type call struct {
	done     func(f *wire.ServerFrame) // nil: the link was lost first
	accepted func()                    // the server's durable queue has it; nil: of no interest
}

// Dial connects, says hello, and returns a client that stays connected from
// then on. ctx bounds only this first connection, which is tried once.
func Dial(ctx context.Context, o Options) (*Client, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	l, err := connect(ctx, &o)
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts:    o,
		log:     o.Log,
		events:  newQueue(o.Events),
		ended:   make(chan struct{}),
		changed: make(chan struct{}),
		calls:   map[int64]*call{},
		rooms:   map[chat.RoomID]*room{},
		lastID:  helloID,
		outbox:  newOutbox(o.Outbox),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.attach(l)
	go c.events.pump(c.ctx)
	go c.run(l)
	return c, nil
}

// Events is where everything that happens in joined rooms arrives. The channel
// is closed after Ended or Close.
func (c *Client) Events() <-chan Event { return c.events.out }

// User is the user id that the ack of hello had.
func (c *Client) User() chat.UserID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// Limits are the server's, from the last ack of hello.
func (c *Client) Limits() chat.Limits {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits
}

// Close ends the connection and every call that waits, and returns when all
// goroutines of the client have ended. Sends in the outbox end with an error, which
// does not say whether the message was stored.
func (c *Client) Close() {
	c.end(chat.E(chat.Unavailable, "the client was closed"))
	c.cancel()
	c.events.end()
	<-c.ended
}

// run reads the present connection until it breaks, then looks for the next.
func (c *Client) run(l *link) {
	defer close(c.ended)
	b := newBackoff(&c.opts)
	for l != nil {
		err := c.read(l)
		l.close()
		c.lost(l, err)
		if time.Since(l.begun) > holdTime {
			b.good()
		}
		l = c.reconnect(b, err)
	}
	c.events.end()
}

// read handles frames until the connection breaks.
func (c *Client) read(l *link) error {
	for {
		f, err := l.read(5 * c.opts.Ping / 2)
		if err != nil {
			return err
		}
		c.handle(f)
	}
}

func (c *Client) handle(f *wire.ServerFrame) {
	switch {
	case f.Type == "ack" || f.Type == "error":
		if w := c.takeCall(f); w != nil {
			w.done(f)
		} else if f.Err != nil {
			c.log.Debug("the server complains", "code", f.Err.Kind.Code(), "text", f.Err.Text)
		}
	case f.Type == "accepted":
		c.mu.Lock()
		w := c.calls[f.ID]
		c.mu.Unlock()
		if w != nil && f.HasID && w.accepted != nil {
			w.accepted()
		}
	case f.Type == "gap":
		if r := c.room(f.Room); r != nil {
			c.rejoin(r)
		}
	case f.Event != nil:
		if r := c.room(f.Event.Room); r != nil {
			c.happened(r, f.Event)
		}
	}
}

func (c *Client) takeCall(f *wire.ServerFrame) *call {
	if !f.HasID {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.calls[f.ID]
	delete(c.calls, f.ID)
	return w
}

// command queues cmd on the present link with a number of its own. Caller
// holds mu, and the link is there.
func (c *Client) command(cmd *wire.Command, answer *call) {
	c.lastID++
	cmd.ID, cmd.HasID = c.lastID, true
	c.calls[cmd.ID] = answer
	c.link.queue(cmd)
}

// attach makes l the present connection: first the rooms are joined again,
// then what waits is sent.
func (c *Client) attach(l *link) {
	go l.write(c.opts.Ping, c.poke)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		l.close()
		return
	}
	c.link = l
	c.user = l.hello.User
	if l.hello.Limits != nil {
		c.limits = *l.hello.Limits
	}
	if c.background {
		on := false
		l.queue(&wire.Command{Type: wire.Foreground, On: &on})
	}
	for _, r := range c.rooms {
		if r.established {
			c.joinAgain(r)
		}
	}
	c.flush()
	c.tell()
}

// poke sends a ping, whose ack shows that the connection is alive.
func (c *Client) poke(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.command(&wire.Command{Type: wire.Ping}, &call{done: func(*wire.ServerFrame) {}})
	}
}

// lost detaches the link and fails the calls that wait on it.
func (c *Client) lost(l *link, err error) {
	c.mu.Lock()
	if c.link != l { // closed before it was attached
		c.mu.Unlock()
		return
	}
	c.link = nil
	calls := c.calls
	c.calls = map[int64]*call{}
	c.tell()
	ended := c.err != nil
	c.mu.Unlock()
	for _, w := range calls {
		w.done(nil)
	}
	if !ended {
		c.log.Info("the connection is lost", "err", err)
		c.events.put(Event{News: Disconnected, Err: err})
	}
}

// reconnect returns the next connection, nil if there is none to come.
func (c *Client) reconnect(b *backoff, err error) *link {
	for {
		when := retryOf(err, c.opts.Token != nil)
		if when == chat.RetryNever {
			c.end(err)
		}
		if ended := c.Err(); ended != nil {
			c.events.put(Event{News: Ended, Err: ended})
			return nil
		}
		select {
		case <-time.After(max(b.next(when), waitOf(err))):
		case <-c.ctx.Done():
			continue
		}
		var l *link
		if l, err = connect(c.ctx, &c.opts); err == nil {
			c.log.Info("connected again")
			c.events.put(Event{News: Connected})
			c.attach(l)
			return l
		}
		c.log.Debug("cannot connect", "err", err)
	}
}

// end ends the client with err as the reason. The first one stays.
func (c *Client) end(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	if c.link != nil {
		c.link.close()
	}
	c.tell()
	unsent := c.outbox.drain()
	c.mu.Unlock()
	for _, s := range unsent {
		s.done(Sent{}, err)
	}
}

// Err returns the reason for which the client has ended, nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// tell wakes the calls that wait for a link. Caller holds mu.
func (c *Client) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) room(id chat.RoomID) *room {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms[id]
}
