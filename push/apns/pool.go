package apns

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// pool is the HTTP/2 connections to one environment. On a new connection APNs takes a
// single stream, until that one has brought a valid token: the first request on it is sent
// alone and proves the connection, and the others wait for that. One connection is made
// and proven at a time, and only when the proven ones have no stream left.
type pool struct {
	// Set once.
	address string // host:port
	rt      *http.Transport
	max     int

	mu sync.Mutex

	// Guarded by mu.
	conns   []*conn
	proving bool          // a connection is being made or proven
	waiting int           // callers of acquire
	changed chan struct{} // closed, and made anew, when waiting callers should look again
}

// conn is a connection. Both fields are guarded by pool.mu.
type conn struct {
	*http.ClientConn
	proven bool
	used   bool // it has had a request before the one that holds it
}

var errClosed = errors.New("the connection ended before the request was sent")

func newPool(address string, rt *http.Transport, max int) *pool {
	return &pool{address: address, rt: rt, max: max, changed: make(chan struct{})}
}

// acquire returns a connection with a stream reserved on it, which RoundTrip uses; release
// follows. alone: the request proves the connection.
func (p *pool) acquire(ctx context.Context) (c *conn, alone bool, err error) {
	p.mu.Lock()
	for {
		if c := p.free(); c != nil {
			p.mu.Unlock()
			return c, false, nil
		}
		if !p.proving {
			if c := p.unproven(); c != nil || len(p.conns) < p.max {
				p.proving = true
				p.mu.Unlock()
				if c == nil {
					c, err = p.dial(ctx)
				}
				return c, true, err
			}
		}
		p.waiting++
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		p.waiting--
		if err != nil {
			p.mu.Unlock()
			return nil, false, err
		}
	}
}

// free reserves a stream of a proven connection, and drops those that have ended. mu is held.
func (p *pool) free() (found *conn) {
	kept := p.conns[:0]
	for _, c := range p.conns {
		if c.Err() != nil || (c.Available() == 0 && c.InFlight() == 0) { // closed; told to go away
			_ = c.Close() // it has ended
			continue
		}
		kept = append(kept, c)
		if found == nil && c.proven && c.Reserve() == nil {
			found = c
		}
	}
	clear(p.conns[len(kept):])
	p.conns = kept
	return found
}

// unproven reserves the stream of a connection whose first request did not prove it. mu is held.
func (p *pool) unproven() *conn {
	for _, c := range p.conns {
		if !c.proven && c.Reserve() == nil {
			return c
		}
	}
	return nil
}

func (p *pool) dial(ctx context.Context) (*conn, error) {
	cc, err := p.rt.NewClientConn(ctx, "https", p.address)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && cc.Reserve() != nil {
		err = errors.Join(errClosed, cc.Close())
	}
	if err != nil {
		p.proving = false
		p.wake()
		return nil, err
	}
	c := &conn{ClientConn: cc}
	p.conns = append(p.conns, c)
	return c, nil
}

// release says how a request went: proven, its token was valid; broken, there was no answer.
func (p *pool) release(c *conn, alone, proven, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.used = true
	c.proven = c.proven || proven
	if alone {
		p.proving = false
		if broken { // it may be silent, and nothing else would notice
			_ = c.Close() // without an answer there is nothing to lose on it
		}
	}
	p.wake()
}

// wake has waiting callers look again. mu is held.
func (p *pool) wake() {
	if p.waiting > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// wasUsed reports whether the connection had a request before.
func (p *pool) wasUsed(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.used
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.conns {
		if c.Err() == nil {
			errs = append(errs, c.Close())
		}
	}
	p.conns = nil
	return errors.Join(errs...)
}
