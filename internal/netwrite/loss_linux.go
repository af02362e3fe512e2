package netwrite

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// SetUserTimeout makes a TCP connection, plain or under TLS, fail when the peer has not
// confirmed for d what was sent to it. On other connections it does nothing.
func SetUserTimeout(c net.Conn, d time.Duration) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if w, ok := c.(interface{ Underlying() net.Conn }); ok { // of a listener that looked at the first bytes
		c = w.Underlying()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return // the connection is closed
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}
