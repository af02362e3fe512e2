package engineio

import (
	"net"
	"time"

	"github.com/roomtide/roomtide/internal/netwrite"
	"github.com/roomtide/roomtide/internal/poll"
	"github.com/roomtide/roomtide/websocket"
)

// link is a WebSocket.
type link struct {
	// Set once.
	conn *websocket.Conn // for reading
	out  outlet
	sock *Socket

	reader poll.Reader // opened when it becomes the transport of sock, under sock.mu
}

// newLink takes over a WebSocket, that may become the transport of the socket.
func (s *Socket) newLink(c *websocket.Conn) *link {
	l := &link{conn: c, sock: s, out: newOutlet(c.NetConn(), s.srv.work.Go)}
	c.OnPing = l.pong
	return l
}

// abort closes the connection; its reader learns of it.
func (l *link) abort() {
	_ = l.conn.NetConn().Close() // there is nothing to be done about a connection that fails to close
	l.reader.End()
}

// outlet is the writing half of a connection. try and wait are never called at
// the same time.
type outlet interface {
	// try writes as much of bufs as the peer accepts now and never waits.
	try(bufs [][]byte) (n int, err error)
	// wait waits until try can make progress. The write deadline of the
	// connection, or closing it, ends the wait with an error.
	wait() error
	// end ends the writing half behind what was taken. It does not wait, and is
	// the last call.
	end()
}

// newOutlet returns the best outlet there is for the connection. spawn starts a
// goroutine that Server.Close waits for.
func newOutlet(nc net.Conn, spawn func(func())) outlet {
	if tcp, ok := nc.(*net.TCPConn); ok {
		o := &tcpOutlet{tcp: tcp}
		if o.out.Open(tcp) == nil {
			return o
		} // else it is closed already, or the system has only the buffer
	}
	return bufferOutlet{netwrite.NewBuffer(nc, netwrite.BufferOptions{
		Limit: maxBuffer, Keep: keepBuffer, Spawn: spawn,
		End: func() error { return closeWrite(nc) },
	})}
}

// tcpOutlet writes to a plain TCP connection without blocking, copying or a
// goroutine.
type tcpOutlet struct {
	tcp *net.TCPConn
	out netwrite.TCP
}

func (o *tcpOutlet) try(bufs [][]byte) (int, error) { return o.out.Try(bufs) }

func (o *tcpOutlet) wait() error { return o.out.Wait() }

func (o *tcpOutlet) end() { _ = o.tcp.CloseWrite() } // its reader closes it in any case

// maxBuffer is how much a bufferOutlet takes ahead of its peer, keepBuffer how
// much of that an idle one keeps.
const (
	maxBuffer  = 16 << 10
	keepBuffer = 1 << 10
)

// bufferOutlet is for connections whose Write blocks, such as TLS. It has a
// goroutine only while there is something to write.
type bufferOutlet struct{ out *netwrite.Buffer }

func (o bufferOutlet) try(bufs [][]byte) (int, error) { return o.out.Try(bufs) }

func (o bufferOutlet) wait() error {
	_, err := o.out.Wait(nil)
	return err
}

func (o bufferOutlet) end() { o.out.Close(nil, linger) }

// linger is how long the two sides of a WebSocket have to end it after the
// close frame.
const linger = 2 * time.Second

// closeWrite ends the writing half, if the connection has halves. Without, the
// peer ends it after the close frame.
func closeWrite(nc net.Conn) error {
	if c, ok := nc.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
