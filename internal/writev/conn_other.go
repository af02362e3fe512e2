//go:build !linux

package writev

import (
	"errors"
	"net"
)

// Conn is for Linux only.
type Conn struct{}

// Open returns errors.ErrUnsupported.
func (*Conn) Open(*net.TCPConn) error { return errors.ErrUnsupported }

// Try is never called.
func (*Conn) Try([][]byte) (int, error) { return 0, errors.ErrUnsupported }

// Wait is never called.
func (*Conn) Wait() error { return errors.ErrUnsupported }

// Cut is never called.
func (*Conn) Cut() bool { return false }

// Last is never called.
func (*Conn) Last([]byte) {}
