package server

import (
	"net"
	"runtime"
	"time"

	"golang.org/x/time/rate"
)

// What a node accepts unless configured: so many connections a second for each
// processor, and so many at once.
const (
	acceptRate  = 450
	acceptBurst = 50
)

// door is a listener that accepts no faster than at a rate. Who waits to be
// accepted does so in the system's queue and costs nothing; when everybody comes
// back at once, shaking hands with all of them would leave nothing to those who
// stayed. See docs/decisions/0007-storms.md.
type door struct {
	net.Listener
	pace *rate.Limiter
}

// newDoor makes a door for perSecond connections; 0 is the default.
func newDoor(ln net.Listener, perSecond int) *door {
	if perSecond == 0 {
		perSecond = acceptRate * runtime.GOMAXPROCS(0)
	}
	return &door{ln, rate.NewLimiter(rate.Limit(perSecond), acceptBurst)}
}

// Accept is called by the one goroutine of the HTTP server that accepts.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err == nil {
		time.Sleep(d.pace.Reserve().Delay())
	}
	return c, err
}
