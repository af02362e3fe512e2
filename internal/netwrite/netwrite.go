// Package netwrite writes to connections without ever blocking the caller.
//
// TCP writes several buffers to a plain TCP connection in one system call, as
// far as the peer accepts them: no copy, no goroutine. Only Linux has that;
// elsewhere TCP.Open returns errors.ErrUnsupported.
//
// Buffer is for every other stream, whose Write blocks: it copies into a
// bounded buffer that one goroutine writes out.
//
// Both put backpressure on the caller in the same way: Try takes what fits now,
// Wait returns when more fits. Neither drops anything.
package netwrite

import "net"

// Size returns how many bytes bufs hold.
func Size(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// Rest returns what is left of bufs after the first n bytes, without changing
// bufs or the bytes in them.
func Rest(bufs net.Buffers, n int) net.Buffers {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs = append(net.Buffers{bufs[0][n:]}, bufs[1:]...)
	}
	return bufs
}
