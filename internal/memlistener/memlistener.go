// Package memlistener is a listener of connections in memory, for tests of servers in
// a bubble of testing/synctest, which real sockets do not belong into.
package memlistener

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener. Dial opens connections to it.
type Listener struct {
	// Set once.
	conns chan net.Conn
	done  chan struct{} // closed by Close

	once sync.Once
}

// New returns a listener. Close ends it.
func New() *Listener { return &Listener{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It may be called again.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// Dial waits for Accept. Network and address are ignored.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
