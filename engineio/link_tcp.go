package engineio

import (
	"net"

	"github.com/roomtide/roomtide/internal/writev"
)

// tcpOutlet writes to a plain TCP connection without waiting, copying or a
// goroutine.
type tcpOutlet struct {
	tcp *net.TCPConn
	out writev.Conn
}

// newTCPOutlet returns nil if the connection is closed, and where there is
// nothing better than a buffer.
func newTCPOutlet(c *net.TCPConn) outlet {
	o := &tcpOutlet{tcp: c}
	if o.out.Open(c) != nil {
		return nil
	}
	return o
}

func (o *tcpOutlet) try(bufs [][]byte) (int, error) { return o.out.Try(bufs) }

func (o *tcpOutlet) wait() error { return o.out.Wait() }

func (o *tcpOutlet) end() { _ = o.tcp.CloseWrite() } // its reader closes it in any case
