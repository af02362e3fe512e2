//go:build !linux

package poll

import (
	"errors"
	"syscall"
)

// Poller is for Linux; elsewhere there is none, and every connection has a
// goroutine that reads.
type Poller struct{}

func New() (*Poller, error) { return nil, errors.ErrUnsupported }

func (*Poller) Close() {}

func (*Poller) Leavers() (waiting int, deferred uint64) { return 0, 0 }

func (*Poller) Socket(syscall.Conn, Sleeper) (*Socket, error) { return nil, errors.ErrUnsupported }

// Socket is never made here.
type Socket struct{}

func (*Socket) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (*Socket) Park() error { return errors.ErrUnsupported }

func (*Socket) Release() {}
