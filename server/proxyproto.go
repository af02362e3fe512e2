package server

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// The PROXY protocol is a line or a block that some proxies send before everything
// else, to tell the address of the client. It is not spoken here: X-Forwarded-For says
// the same, and cannot be taken for what a client sends.
var proxySignatures = [][]byte{[]byte("PROXY "), []byte("\r\n\r\n\x00\r\nQUIT\n")}

const (
	proxyHelp = "the proxy sends the PROXY protocol, which is not spoken here: switch it off there (HAProxy: no send-proxy or send-proxy-v2; " +
		"nginx: no proxy_protocol on; Traefik: no proxyProtocol for servers; load balancers of clouds: PROXY protocol off), let the proxy send X-Forwarded-For, and set trusted_proxies to its network"
	proxyAnswer = "This port does not speak the PROXY protocol: switch it off in the proxy, and let it send X-Forwarded-For.\n"
)

// greeting refuses connections that begin with the PROXY protocol, which HTTP would
// take for a broken request and TLS for a broken handshake, without a word to the
// operator.
type greeting struct {
	log  *slog.Logger
	some *rate.Limiter // bounds the lines that clients can cause in log
}

func newGreeting(log *slog.Logger) *greeting {
	return &greeting{log: log, some: rate.NewLimiter(rate.Every(time.Minute), 1)}
}

// watch returns the connection as HTTP gets it.
func (g *greeting) watch(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok && g != nil {
		return &greeted{TCPConn: tcp, by: g}
	}
	return c
}

// greeted is a connection until its first bytes have been looked at, which the reader
// of HTTP or TLS does in its own goroutine. What takes the connection over from HTTP
// goes on with Underlying.
type greeted struct {
	*net.TCPConn
	by *greeting // nil after the first bytes
}

// Underlying returns the connection itself.
func (c *greeted) Underlying() net.Conn { return c.TCPConn }

func (c *greeted) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if by := c.by; by != nil && n > 0 {
		c.by = nil
		for _, signature := range proxySignatures {
			if bytes.HasPrefix(p[:n], signature) {
				by.refuse(c.TCPConn)
				return 0, io.EOF
			}
		}
	}
	return n, err
}

func (g *greeting) refuse(c *net.TCPConn) {
	if g.some.Allow() {
		g.log.Warn("a proxy speaks the PROXY protocol to this port", "proxy", c.RemoteAddr(), "help", proxyHelp)
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // fails only if it is closed, as the write then does
	_, _ = io.WriteString(c, "HTTP/1.1 "+strconv.Itoa(http.StatusBadRequest)+" Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: "+
		strconv.Itoa(len(proxyAnswer))+"\r\n\r\n"+proxyAnswer)
}

// underlying returns the connection that was accepted.
func underlying(c net.Conn) net.Conn {
	if g, ok := c.(*greeted); ok {
		return g.TCPConn
	}
	return c
}
