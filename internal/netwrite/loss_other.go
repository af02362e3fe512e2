//go:build !linux

package netwrite

import (
	"net"
	"time"
)

// SetUserTimeout is for Linux only, and does nothing elsewhere: the system notices the
// loss of a peer later.
func SetUserTimeout(net.Conn, time.Duration) {}
