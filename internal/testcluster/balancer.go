package testcluster

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// Balancer is the proxy before the nodes: it takes each connection to a node that accepts
// it, and ends it when the node does. It is safe for concurrent use.
type Balancer struct {
	// Set once.
	ln      net.Listener
	working sync.WaitGroup

	// Guarded by mu.
	mu    sync.Mutex
	nodes map[string]string // addresses by name
	conns map[net.Conn]bool
}

func newBalancer(t testing.TB) *Balancer {
	t.Helper()
	ln, err := net.Listen("tcp", testprocess.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{ln: ln, nodes: map[string]string{}, conns: map[net.Conn]bool{}}
	b.working.Go(b.accept)
	t.Cleanup(func() {
		ln.Close()
		b.mu.Lock()
		for c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		b.working.Wait()
	})
	return b
}

// Addr is where clients connect.
func (b *Balancer) Addr() string { return b.ln.Addr().String() }

// Cut ends all connections, and returns how many there were.
func (b *Balancer) Cut() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.Close()
	}
	return len(b.conns) / 2
}

// set says where a node is, or with an empty address that it gets no connections.
func (b *Balancer) set(name, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if addr == "" {
		delete(b.nodes, name)
		return
	}
	b.nodes[name] = addr
}

func (b *Balancer) accept() {
	for {
		c, err := b.ln.Accept()
		if err != nil {
			return
		}
		b.working.Go(func() { b.serve(c) })
	}
}

func (b *Balancer) serve(c net.Conn) {
	defer c.Close()
	node := b.dial()
	if node == nil {
		return
	}
	defer node.Close()
	b.keep(c, node)
	defer b.forget(c, node)
	go func() {
		_, _ = io.Copy(node, c) // ends with either side
		node.Close()
	}()
	_, _ = io.Copy(c, node)
}

// dial tries the nodes in any order.
func (b *Balancer) dial() net.Conn {
	b.mu.Lock()
	var addrs []string
	for _, addr := range b.nodes {
		addrs = append(addrs, addr)
	}
	b.mu.Unlock()
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	for _, addr := range addrs {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c
		}
	}
	return nil
}

func (b *Balancer) keep(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.conns[c] = true
	}
}

func (b *Balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}
