package bustest

import (
	"sync"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/chat"
)

// Network is a bus of several nodes in one process that behaves as one between
// machines: a batch is encoded, waits in a queue of each node that has subscribed,
// and is delivered, decoded anew, by a goroutine of that node. So the publisher
// and the receiver share no memory, and nothing but the delivery itself tells the
// receiver that something came. It can lose batches on purpose.
type Network struct {
	mu    sync.Mutex
	nodes []*Node
	lose  int // batches to lose next
	lost  int
}

// maxQueued bounds the batches that wait for one node. More are lost.
const maxQueued = 4096

// NewNetwork returns a network and its nodes. Each has to be closed.
func NewNetwork(nodes int) *Network {
	n := &Network{}
	for range nodes {
		node := &Node{network: n, queue: make(chan []byte, maxQueued), done: make(chan struct{}), lanes: map[bus.Lane]struct{}{}}
		n.nodes = append(n.nodes, node)
		go node.deliver()
	}
	return n
}

// Node returns the bus of one node, from 0.
func (n *Network) Node(i int) *Node { return n.nodes[i] }

// Buses returns the bus of every node.
func (n *Network) Buses() []bus.Bus {
	var all []bus.Bus
	for _, node := range n.nodes {
		all = append(all, node)
	}
	return all
}

// Lose makes the network lose the next count batches, for every receiver.
func (n *Network) Lose(count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose += count
}

// Lost is how many batches were lost so far, on purpose or because a queue was
// full; one that several nodes lost counts once for each queue.
func (n *Network) Lost() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// Node is the bus of one node of a Network.
type Node struct {
	// Set once.
	network *Network
	queue   chan []byte   // encoded batches
	done    chan struct{} // closed by Close: deliver ends

	// Guarded by network.mu.
	handler bus.Handler
	lanes   map[bus.Lane]struct{}
	closed  bool
}

var _ bus.Bus = (*Node)(nil)

// Publish implements bus.Bus.
func (d *Node) Publish(b *bus.Batch) error {
	data := bus.AppendBatch(nil, b)
	n := d.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.closed {
		return closedError("bus.Publish")
	}
	if n.lose > 0 {
		n.lose--
		n.lost++
		return nil
	}
	for _, to := range n.nodes {
		if _, subscribed := to.lanes[b.Lane]; !subscribed {
			continue
		}
		select {
		case to.queue <- data:
		default:
			n.lost++
		}
	}
	return nil
}

// deliver hands what is queued to the handler until the node is closed.
func (d *Node) deliver() {
	for {
		select {
		case <-d.done:
			return
		case data := <-d.queue:
			d.network.mu.Lock()
			handler, closed := d.handler, d.closed
			d.network.mu.Unlock()
			if closed {
				return
			}
			b, err := bus.DecodeBatch(data)
			if err != nil {
				panic(err) // it was encoded by Publish
			}
			handler(b)
		}
	}
}

// Subscribe implements bus.Bus.
func (d *Node) Subscribe(lane bus.Lane) error {
	d.network.mu.Lock()
	defer d.network.mu.Unlock()
	if d.closed {
		return closedError("bus.Subscribe")
	}
	d.lanes[lane] = struct{}{}
	return nil
}

// Unsubscribe implements bus.Bus.
func (d *Node) Unsubscribe(lane bus.Lane) error {
	d.network.mu.Lock()
	defer d.network.mu.Unlock()
	if d.closed {
		return closedError("bus.Unsubscribe")
	}
	delete(d.lanes, lane)
	return nil
}

// Listen implements bus.Bus.
func (d *Node) Listen(h bus.Handler) {
	d.network.mu.Lock()
	defer d.network.mu.Unlock()
	d.handler = h
}

// Close implements bus.Bus. It does not wait for a handler that is running.
func (d *Node) Close() error {
	d.network.mu.Lock()
	defer d.network.mu.Unlock()
	if !d.closed {
		d.closed = true
		clear(d.lanes)
		close(d.done)
	}
	return nil
}

func closedError(op string) error {
	return &chat.Error{Kind: chat.Unavailable, Op: op, Text: "the bus is closed"}
}
