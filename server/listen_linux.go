package server

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// unsentBytes bounds what the kernel takes for a connection and has not sent.
// Without it that grows to megabytes for a reader that is slow, where neither the
// hub's bounds nor the memory of the process show it. What is on its way is not
// bounded by it, and so throughput is not.
const unsentBytes = 128 << 10

// listen listens; accepted connections have the option of the listener.
func listen(address string) (net.Listener, error) {
	const tcpNotSentLowat = 25
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, unsentBytes)
		})
		return errors.Join(err, set)
	}}
	return lc.Listen(context.Background(), "tcp", address)
}
