package server

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// crowd is a listener to which connections come at any time.
type crowd struct{ closed bool }

func (c *crowd) Accept() (net.Conn, error) { return nil, nil }
func (c *crowd) Addr() net.Addr            { return nil }
func (c *crowd) Close() error              { c.closed = true; return nil }

func TestRateListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 10
		ln := &crowd{}
		l := newRateListener(ln, perSecond)
		begin := time.Now()
		for range acceptBurst {
			l.Accept()
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("the burst took %v", d)
		}
		for range 3 * perSecond {
			l.Accept()
		}
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("%d more took %v", 3*perSecond, d)
		}
		err := make(chan error)
		go func() {
			_, e := l.Accept()
			err <- e
		}()
		synctest.Wait()
		l.Close()
		if e := <-err; !errors.Is(e, net.ErrClosed) || time.Since(begin) != 3*time.Second || !ln.closed {
			t.Errorf("Close while Accept waits: %v after %v, closed %t", e, time.Since(begin), ln.closed)
		}
		if _, e := l.Accept(); !errors.Is(e, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", e)
		}
	})
	if l := newRateListener(&crowd{}, 0); l.limiter.Limit() != rate.Limit(acceptRate*runtime.GOMAXPROCS(0)) {
		t.Errorf("the default is %v", l.limiter.Limit())
	}
}
