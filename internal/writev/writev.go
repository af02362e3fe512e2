// Package writev writes several buffers to a TCP connection in one system call
// and never waits for the peer. Only Linux has the fast way; elsewhere Open
// returns errors.ErrUnsupported, and callers take a buffer and a goroutine.
package writev

import "net"

// Size is how many bytes bufs hold.
func Size(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// Behind returns what is left of bufs after the first n bytes, without changing
// bufs or the bytes in them.
func Behind(bufs net.Buffers, n int) net.Buffers {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs = append(net.Buffers{bufs[0][n:]}, bufs[1:]...)
	}
	return bufs
}
