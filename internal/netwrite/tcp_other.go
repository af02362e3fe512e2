//go:build !linux

package netwrite

import (
	"errors"
	"net"
)

// TCP is for Linux only.
type TCP struct{}

// Open returns errors.ErrUnsupported.
func (*TCP) Open(*net.TCPConn) error { return errors.ErrUnsupported }

// Try is never called.
func (*TCP) Try([][]byte) (int, error) { return 0, errors.ErrUnsupported }

// Wait is never called.
func (*TCP) Wait() error { return errors.ErrUnsupported }

// Cut is never called.
func (*TCP) Cut() bool { return false }

// Last is never called.
func (*TCP) Last([]byte) {}
