package server

import (
	"context"
	"net"
	"runtime"

	"golang.org/x/time/rate"
)

// What a node accepts unless configured: so many connections a second for each
// processor, and so many at once.
const (
	acceptRate  = 450
	acceptBurst = 50
)

// rateListener is a listener that accepts no faster than at a rate. Connections
// that wait to be accepted do so in the system's queue and cost nothing; when
// thousands of clients come back at once, the handshakes of all of them would leave
// no time for those that were never cut off. See docs/decisions/0007-storms.md.
type rateListener struct {
	net.Listener

	// Set once.
	limiter *rate.Limiter
	closed  context.Context // is done when the listener is closed
	close   context.CancelFunc
}

// newRateListener returns a listener that accepts perSecond connections of ln; 0
// is the default. Close closes ln.
func newRateListener(ln net.Listener, perSecond int) *rateListener {
	if perSecond == 0 {
		perSecond = acceptRate * runtime.GOMAXPROCS(0)
	}
	l := &rateListener{Listener: ln, limiter: rate.NewLimiter(rate.Limit(perSecond), acceptBurst)}
	l.closed, l.close = context.WithCancel(context.Background())
	return l
}

// Accept waits until the rate allows another connection, and then for one to come.
// It returns net.ErrClosed when the listener is closed meanwhile.
func (l *rateListener) Accept() (net.Conn, error) {
	if err := l.limiter.Wait(l.closed); err != nil {
		return nil, net.ErrClosed
	}
	return l.Listener.Accept()
}

// Close ends Accept at once. It may be called again.
func (l *rateListener) Close() error {
	l.close()
	return l.Listener.Close()
}
