package wsapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/poll"
	"github.com/roomtide/roomtide/internal/wheel"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

const (
	// maxBad is how many frames in a row may be bad, or sent before the client
	// has identified itself.
	maxBad = 20

	// maxPings is how many pings a client may send in one tick of the wheel.
	maxPings = 50

	// drainTime is how long a connection may go on after its goodbye, and
	// drainBytes how much the peer may send meanwhile. Closing a socket while
	// something arrives would make the peer lose the goodbye.
	drainTime  = 3 * time.Second
	drainBytes = 1 << 20
)

// client is one connection, and the link that the hub writes to.
type client struct {
	// Set once.
	hub.Link // Close is overridden
	h        *Handler
	ws       *websocket.Conn
	from     netip.Prefix
	conn     *hub.Conn
	session  Session
	reader   poll.Reader
	born     time.Duration // on the wheel's clock, like lastSeen and nextPing

	// Safe for any goroutine.
	lastSeen atomic.Int64 // a time.Duration: when something was received last
	ready    atomic.Bool  // the client has identified itself

	// Owned by the goroutine that reads.
	bad     int16            // bad frames in a row
	pings   int16            // received in the tick of lastSeen
	placed  bool             // has a place at the limiter
	pending *connlimit.Place // nil once the client has identified itself

	// Owned by the wheel.
	entry    wheel.Entry[*client]
	nextPing time.Duration
}

func newClient(h *Handler, ws *websocket.Conn, from netip.Prefix, r *http.Request) *client {
	c := &client{h: h, ws: ws, from: from, born: h.wheel.Now()}
	c.lastSeen.Store(int64(c.born))
	h.readers.Open(&c.reader, ws.NetConn(), c)
	c.openLink()
	c.conn = h.cfg.Hub.Attach(c, Encoding{Deflate: ws.Deflate()})
	c.session = h.cfg.Open(c.conn, Codec{Deflate: ws.Deflate()}, r)
	ws.OnPing, ws.OnPong, ws.Source = c.ping, c.touch, &c.reader
	c.pending = h.cfg.Pending.Enter(from, func() { c.end(chat.ByeBusy) })
	h.enter(c)
	return c
}

// openLink decides how the connection is written to.
func (c *client) openLink() {
	if tcp, ok := c.ws.NetConn().(*net.TCPConn); ok {
		c.Link = hub.NewTCPLink(tcp, goodbye)
		return
	}
	l := hub.NewBufferedLink(c.ws.NetConn(), 0, goodbye)
	go l.Run() // ends with the link; the reader learns why
	c.Link = l
}

// Close ends the connection (hub.Link). The goodbye is written, and now the
// connection has to be read until the peer ends it or the time for that is over.
func (c *client) Close(g chat.Goodbye) {
	c.Link.Close(g)
	c.reader.End()
}

// Run reads until the connection is parked or ends (poll.Runner). When it ends, Run
// releases all that belongs to it.
func (c *client) Run() {
	bye, parked := c.read()
	if parked {
		return // another goroutine may have it by now
	}
	c.guard(new(wire.Command), c.session.Close)
	if bye != nil {
		c.end(*bye)
		c.drain()
	}
	c.conn.Detach()
	c.reader.Release()
	c.ws.Close()
	c.Link.Close(chat.Goodbye{Code: websocket.CodeNormal}) // sends nothing any more, ends a wait in it
	c.h.wheel.Remove(c)
	c.release()
}

// read hands commands to the session until the connection is parked or ends.
// Then it returns the goodbye to send, nil when the peer is gone.
func (c *client) read() (bye *chat.Goodbye, parked bool) {
	for {
		limit := c.h.cfg.FrameBytes
		if !c.ready.Load() {
			limit = min(limit, helloBytes)
		}
		op, p, err := c.ws.ReadMessage(limit)
		switch {
		case err == syscall.EAGAIN && c.reader.Park():
			return nil, true
		case err == syscall.EAGAIN:
			continue
		case err != nil:
			return goodbyeFor(err), false
		}
		c.touch()
		if !c.handle(op, p) {
			return &chat.ByeInternal, false
		}
		if c.bad > maxBad {
			return &chat.ByeProtocol, false
		}
	}
}

// commands are those that no frame is read into: a command is larger than most frames.
var commands = sync.Pool{New: func() any { return new(wire.Command) }}

// handle does what one frame asks. It is false when that panicked.
func (c *client) handle(op websocket.Op, p []byte) (ok bool) {
	cmd := commands.Get().(*wire.Command)
	if ok = c.guard(cmd, func() { c.frame(cmd, op, p) }); ok {
		*cmd = wire.Command{} // what it refers to is not kept
		commands.Put(cmd)
	}
	return ok
}

func (c *client) frame(cmd *wire.Command, op websocket.Op, p []byte) {
	c.bad++ // reset below if it was good
	if op != websocket.Text {
		c.session.BadFrame(cmd, chat.E(chat.Invalid, "send text frames"))
		return
	}
	if err := wire.Decode(p, cmd); err != nil {
		c.session.BadFrame(cmd, err)
		return
	}
	c.session.Handle(c.h.ctx, cmd)
	if c.ready.Load() || c.session.Authenticated() {
		if !c.ready.Swap(true) {
			c.place()
		}
		c.bad = 0
	}
}

// guard calls f, keeps its panic to this connection, and reports whether it
// returned.
func (c *client) guard(cmd *wire.Command, f func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			c.h.metrics.panics.Report(c.h.cfg.Log, v, "type", string(cmd.Type))
		}
	}()
	f()
	return true
}

// goodbyeFor is the goodbye after err ended the reading, nil for none.
func goodbyeFor(err error) *chat.Goodbye {
	var closed *websocket.CloseError
	var broken *websocket.Error
	switch {
	case errors.As(err, &closed):
		return &chat.Goodbye{Code: closed.Code}
	case !errors.As(err, &broken):
		return nil
	case broken.Code == websocket.CodeTooLarge:
		return &chat.ByeTooLarge
	}
	return &chat.ByeProtocol
}

// end sends a goodbye through the hub, behind what is queued. Any goroutine.
func (c *client) end(g chat.Goodbye) {
	if g.Reason != "" {
		c.h.metrics.goodbyes.WithLabelValues(g.Reason).Inc()
	}
	c.conn.Close(g)
}

// drain waits for the peer to end its half after our goodbye, and throws away
// what it still sends.
func (c *client) drain() {
	nc := c.ws.NetConn()
	if nc.SetReadDeadline(time.Now().Add(drainTime)) == nil {
		io.CopyN(io.Discard, nc, drainBytes) // however it ends, it ends
	}
}

// touch notes that something was received.
func (c *client) touch() {
	if now := int64(c.h.wheel.Now()); now != c.lastSeen.Load() {
		c.lastSeen.Store(now)
		c.pings = 0
	}
}

// ping queues the pong, behind what is queued for the client already.
func (c *client) ping(payload []byte) {
	c.touch()
	if c.pings > maxPings {
		return
	}
	if c.pings++; c.pings > maxPings {
		c.end(chat.ByeFlood)
		return
	}
	pong := websocket.AppendHeader(make([]byte, 0, 2+len(payload)), websocket.Pong, len(payload))
	c.conn.Send(append(pong, payload...))
}
