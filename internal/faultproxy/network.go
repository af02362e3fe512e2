package faultproxy

import (
	"errors"
	"io"
	"net"
	"time"
)

// Direction is one of the two in which bytes go.
type Direction int

const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// Cut resets all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.hits++
		l.cut()
	}
}

// Refuse resets connections as they are made, or accepts them again.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = on
}

// Hold keeps everything that is sent in the directions, in both if none is given, until
// Release. Connections are accepted. It is a network in which nothing arrives, and what
// was sent is sent again when it is mended.
func (p *Proxy) Hold(in ...Direction) {
	p.change(func() {
		for _, d := range both(in) {
			p.held[d] = true
		}
	})
}

// Release sends what was kept.
func (p *Proxy) Release() { p.change(func() { p.held = [2]bool{} }) }

// Delay has what is sent in the directions, in both if none is given, arrive so much
// later, and at most that much later again if something was on its way.
func (p *Proxy) Delay(by time.Duration, in ...Direction) {
	p.change(func() {
		for _, d := range both(in) {
			p.delay[d] = by
		}
	})
}

// EndLate has each side hear so much later that the other has ended or reset a connection.
func (p *Proxy) EndLate(by time.Duration) { p.change(func() { p.late = by }) }

// LoseServers resets the server's side of all connections. The client's side stays open
// until it ends or Heal: what it sends goes nowhere, and nothing comes.
func (p *Proxy) LoseServers() { p.lose(func(l *link) net.Conn { return l.server }) }

// LoseClients resets the client's side of all connections, and the server's stays open.
func (p *Proxy) LoseClients() { p.lose(func(l *link) net.Conn { return l.client }) }

// Heal ends everything that Refuse, Hold, Delay and EndLate have begun. Connections of
// which one side is lost are reset.
func (p *Proxy) Heal() {
	p.change(func() {
		p.held, p.delay, p.late, p.refused = [2]bool{}, [2]time.Duration{}, 0, false
		for l := range p.links {
			if l.half {
				l.cut()
			}
		}
	})
}

// Hits is how often something was broken so far: connections that were cut, lost or
// refused, parts that were kept or delayed, ends that were late.
func (p *Proxy) Hits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

func both(in []Direction) []Direction {
	if len(in) == 0 {
		return []Direction{Up, Down}
	}
	return in
}

func (p *Proxy) change(to func()) {
	p.mu.Lock()
	to()
	p.mu.Unlock()
	p.moved.Broadcast()
}

func (p *Proxy) lose(side func(*link) net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if !l.half {
			p.hits++
			l.half = true
			reset(side(l))
		}
	}
}

func (l *link) isHalf() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.half
}

// end passes the end of one side on to the other.
func (l *link) end(other net.Conn, err error) {
	l.p.mu.Lock()
	half, late := l.half, l.p.late
	if late > 0 && !half {
		l.p.hits++
	}
	l.p.mu.Unlock()
	if half {
		if errors.Is(err, io.EOF) { // the side that was left has ended
			l.cut()
		}
		return
	}
	l.p.after(late)
	if !errors.Is(err, io.EOF) {
		l.cut()
		return
	}
	if tcp, ok := other.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // it may be closed already
	}
}

// pass returns when a part may be passed on.
func (p *Proxy) pass(d Direction) {
	p.mu.Lock()
	by := p.delay[d]
	if by > 0 || p.held[d] {
		p.hits++
	}
	p.mu.Unlock()
	p.after(by)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held[d] {
		p.moved.Wait()
	}
}

// after waits, at most until the end of the test.
func (p *Proxy) after(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.over:
	}
}
