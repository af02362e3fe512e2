package mysql

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a shard and its server, and does to connections what networks
// do.
type proxy struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup

	// Guarded by mu.
	mu    sync.Mutex
	mode  mode
	conns map[net.Conn]bool
}

type mode int

const (
	pass         mode = iota
	silent            // what comes from the server is kept: it never answers
	loseAnswer        // the next answer of the server is dropped with its connection
	loseQuestion      // the next question is dropped with its connection
)

// newProxy returns a proxy before the server of an address, and the address through it.
func newProxy(t testing.TB, dsn string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: l, server: u.Host, conns: map[net.Conn]bool{}}
	u.Host = l.Addr().String()
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.server)
		if err != nil {
			c.Close()
			continue
		}
		if !p.add(c, s) {
			return
		}
		p.wg.Go(func() { p.copy(c, s, loseQuestion) })
		p.wg.Go(func() { p.copy(s, c, loseAnswer) })
	}
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.conns == nil {
			c.Close()
			continue
		}
		p.conns[c] = true
	}
	return p.conns != nil
}

// copy passes on what comes, until a fault of its direction.
func (p *proxy) copy(from, to net.Conn, fault mode) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			switch p.meet(fault) {
			case fault:
				return
			case silent:
				if fault == loseAnswer {
					continue
				}
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// meet returns the mode, and ends a fault that is for one connection.
func (p *proxy) meet(fault mode) mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.mode
	if m == fault {
		p.mode = pass
	}
	return m
}

func (p *proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.cut()
	p.mu.Lock()
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}
