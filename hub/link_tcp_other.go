//go:build !linux

package hub

import (
	"net"

	"github.com/roomtide/roomtide/chat"
)

// NewTCPLink returns the link of a TCP connection. goodbye returns the bytes
// that say goodbye on it; it may be nil.
func NewTCPLink(c *net.TCPConn, goodbye func(g chat.Goodbye) []byte) Link {
	l := NewBufferedLink(c, 0, goodbye)
	go func() { _ = l.Run() }() // ends with the connection; its reader learns of the error itself
	return l
}
