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

func (*Poller) Closing() (waiting int, deferred uint64) { return 0, 0 }

// Socket is never opened here.
type Socket struct{}

func (*Socket) Open(*Poller, syscall.Conn, Sleeper) error { return errors.ErrUnsupported }

func (*Socket) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (*Socket) Park() error { return errors.ErrUnsupported }

func (*Socket) Release() {}
