//go:build !linux

package engineio

import "net"

// newTCPOutlet returns nil: there is nothing better here than a buffer.
func newTCPOutlet(*net.TCPConn) outlet { return nil }
