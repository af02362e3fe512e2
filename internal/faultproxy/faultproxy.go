// Package faultproxy is a TCP proxy for tests, between a client and a server. It breaks
// connections at the moments that matter: before a request has reached the server, within
// it, or after the server has done it and before the client knows. And it is a bad
// network: slow, silent in one direction or in both, cut, with ends that one side does not
// hear of, or hears of late.
package faultproxy

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a running proxy. It is safe for concurrent use.
type Proxy struct {
	// Set once.
	target string
	ln     net.Listener
	work   sync.WaitGroup
	over   chan struct{} // closed with the test

	// Guarded by mu.
	mu      sync.Mutex
	moved   sync.Cond // held has changed
	links   map[*link]bool
	fault   *fault // waits for its request
	held    [2]bool
	delay   [2]time.Duration
	late    time.Duration // with which ends are passed on
	refused bool
	closed  bool
	hits    int
}

// fault is what is done to one request.
type fault struct {
	match  []byte // in what the client sends
	where  where
	answer []byte // in what the server sends, for after
	done   chan struct{}
}

type where int

const (
	before where = iota
	within
	after
)

// link is a client's connection with its connection to the server.
type link struct {
	p              *Proxy
	client, server net.Conn

	// Guarded by p.mu.
	mine *fault // its answer is thrown away
	half bool   // one side is gone, and the other has not heard of it
}

// Start starts a proxy before the server at the address. It ends with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, ln: ln, links: map[*link]bool{}, over: make(chan struct{})}
	p.moved.L = &p.mu
	p.work.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed, p.held = true, [2]bool{}
		close(p.over)
		p.mu.Unlock()
		p.moved.Broadcast()
		ln.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// CutBefore resets the connection that sends the text next, without the server seeing
// the part with it. The channel is closed when that has happened.
func (p *Proxy) CutBefore(text string) <-chan struct{} { return p.set(text, before, "") }

// CutWithin resets it in the midst of the text.
func (p *Proxy) CutWithin(text string) <-chan struct{} { return p.set(text, within, "") }

// CutAfter lets the server have the request, and resets the connection when the server
// has sent an answer with the given end in it, of which the client sees nothing.
func (p *Proxy) CutAfter(text, answer string) <-chan struct{} { return p.set(text, after, answer) }

func (p *Proxy) set(text string, w where, answer string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = &fault{[]byte(text), w, []byte(answer), make(chan struct{})}
	return p.fault.done
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.work.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	refused := p.refused || p.closed
	if p.refused {
		p.hits++
	}
	p.mu.Unlock()
	if refused {
		reset(client)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	l := &link{p: p, client: client, server: server}
	p.mu.Lock()
	p.links[l] = true
	closed := p.closed
	p.mu.Unlock()
	if closed {
		l.cut()
	}
	down := make(chan struct{})
	p.work.Go(func() { l.down(); close(down) })
	l.up()
	<-down
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	client.Close()
	server.Close()
}

// cut resets both sides.
func (l *link) cut() {
	reset(l.client)
	reset(l.server)
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	c.Close()
}

// up carries what the client sends.
func (l *link) up() {
	var seen tail
	buf := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buf)
		if err != nil {
			l.end(l.server, err)
			return
		}
		l.p.pass(Up)
		pass, f := l.p.meets(l, &seen, buf[:n])
		if _, err := l.server.Write(buf[:pass]); err != nil && !l.isHalf() {
			l.cut()
			return
		}
		if f != nil {
			l.cut()
			close(f.done)
			return
		}
	}
}

// down carries what the server sends.
func (l *link) down() {
	var seen tail
	buf := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buf)
		if err != nil {
			l.end(l.client, err)
			return
		}
		l.p.pass(Down)
		l.p.mu.Lock()
		f := l.mine
		l.p.mu.Unlock()
		if f == nil {
			if _, err := l.client.Write(buf[:n]); err != nil && !l.isHalf() {
				l.cut()
				return
			}
			continue
		}
		if seen.find(buf[:n], f.answer) >= 0 {
			l.cut()
			close(f.done)
			return
		}
	}
}

// meets compares what a client sends with the fault that waits. It returns how many
// bytes are passed on, and the fault if the connection is cut behind them.
func (p *Proxy) meets(l *link, seen *tail, part []byte) (pass int, cut *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	if f == nil {
		return len(part), nil
	}
	at := seen.find(part, f.match)
	if at < 0 {
		return len(part), nil
	}
	p.fault = nil
	switch f.where {
	case before:
		return 0, f
	case within:
		return min(at+len(f.match)/2, len(part)), f
	}
	l.mine = f
	return len(part), nil
}

// tail finds a text that may lie across several parts.
type tail struct{ kept []byte }

// find returns where the text begins in the part, 0 if it began before it, and -1 if it
// is not there.
func (s *tail) find(part, text []byte) int {
	all := append(s.kept, part...)
	at := bytes.Index(all, text)
	if at >= 0 {
		at = max(at-len(s.kept), 0)
	}
	s.kept = append([]byte(nil), all[max(len(all)-len(text)+1, 0):]...)
	return at
}
