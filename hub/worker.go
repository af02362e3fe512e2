package hub

import (
	"net"
	"sync"
	"sync/atomic"
)

// worker writes to its share of the connections. What is to be done gathers in
// todo; a round takes all of it, so rounds carry more the more there is to do.
type worker struct {
	// Set once.
	hub    *Hub
	number int
	wake   chan struct{} // holds one token: there is something to do

	// Safe for any goroutine.
	conns   connSet
	pending atomic.Bool // something was put on todo since the last kick

	mu   sync.Mutex
	todo work

	// Owned by run. All of it is scratch of one round, kept for its memory.
	doing     work
	subs      []*subscription // of one connection
	snapshots [maxEncodings]snapshot
	chunks    []*chunk    // what snapshots and spans refer to
	bufs      net.Buffers // what spans refer to
	spans     []span
	items     []item
	touched   []*Conn
	gaps      []*gap      // to report at the end of the round
	out       net.Buffers // one write
	counts    counts
}

// work is what a round begins with.
type work struct {
	shares []*roomShare    // of rooms that got events
	going  []*roomShare    // with a scan under way
	subs   []*subscription // resumed behind the head of their room
	back   []*Conn         // writable again
	conns  []*Conn         // have private frames, or are to be closed
	shed   []func()        // make the node fit into a budget again
	done   []chan struct{} // closed at the end of the round
}

func (k *work) reset() {
	clear(k.shares)
	clear(k.going)
	clear(k.subs)
	clear(k.back)
	clear(k.conns)
	clear(k.shed)
	clear(k.done)
	k.shares, k.going, k.subs, k.back, k.conns, k.shed, k.done = k.shares[:0], k.going[:0], k.subs[:0], k.back[:0], k.conns[:0], k.shed[:0], k.done[:0]
}

func newWorker(h *Hub, number int) *worker {
	return &worker{
		hub: h, number: number, wake: make(chan struct{}, 1),
	}
}

// add puts something on the list; it is done after the next kick.
func (w *worker) add(put func(*work)) {
	w.mu.Lock()
	put(&w.todo)
	w.mu.Unlock()
	w.pending.Store(true)
}

func (w *worker) addShare(p *roomShare) {
	if p.dirty.CompareAndSwap(false, true) {
		w.add(func(k *work) { k.shares = append(k.shares, p) })
	}
}

func (w *worker) addConn(c *Conn) {
	if c.dirty.CompareAndSwap(false, true) {
		w.add(func(k *work) { k.conns = append(k.conns, c) })
	}
}

func (w *worker) addSub(s *subscription) { w.add(func(k *work) { k.subs = append(k.subs, s) }) }
func (w *worker) addBack(c *Conn)        { w.add(func(k *work) { k.back = append(k.back, c) }) }

// later has the worker call shed in its next round.
func (w *worker) later(shed func()) {
	w.add(func(k *work) { k.shed = append(k.shed, shed) })
	w.kick()
}

// kick wakes the worker if there is something to do.
func (w *worker) kick() {
	if w.pending.Swap(false) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// barrier returns a channel that is closed after a round that began after this
// call.
func (w *worker) barrier() <-chan struct{} {
	ch := make(chan struct{})
	w.add(func(k *work) { k.done = append(k.done, ch) })
	w.kick()
	return ch
}

func (w *worker) run() {
	for {
		select {
		case <-w.wake:
			w.round()
		case <-w.hub.done:
			w.round()
			return
		}
	}
}

// round collects what each connection has to get, then writes each once.
func (w *worker) round() {
	w.mu.Lock()
	w.todo, w.doing = w.doing, w.todo
	w.mu.Unlock()
	for _, p := range w.doing.shares {
		p.dirty.Store(false)
		if p.beginScan() {
			w.doing.going = append(w.doing.going, p)
		}
	}
	for _, shed := range w.doing.shed {
		shed()
	}
	again := false // some rooms are not done
	for _, p := range w.doing.going {
		if w.collectShare(p) {
			w.add(func(k *work) { k.going = append(k.going, p) })
			again = true
		}
	}
	for _, s := range w.doing.subs {
		w.collectSub(s)
	}
	for _, c := range w.doing.back {
		w.collectConn(c)
	}
	for _, c := range w.doing.conns {
		c.dirty.Store(false)
		w.touch(c)
	}
	for _, c := range w.touched {
		w.write(c)
		c.touched = false
	}
	for _, g := range w.gaps {
		w.hub.report(g)
	}
	for _, ch := range w.doing.done {
		close(ch)
	}
	w.reset()
	if again {
		w.kick()
	}
}

func (w *worker) reset() {
	w.doing.reset()
	clear(w.chunks)
	clear(w.bufs)
	clear(w.items)
	clear(w.touched)
	clear(w.gaps)
	w.chunks, w.bufs, w.spans, w.items = w.chunks[:0], w.bufs[:0], w.spans[:0], w.items[:0]
	w.touched, w.gaps = w.touched[:0], w.gaps[:0]
	w.hub.metrics.add(&w.counts)
}

// touch puts a connection on the list of this round.
func (w *worker) touch(c *Conn) {
	if !c.touched {
		c.touched = true
		c.first, c.last = -1, -1
		w.touched = append(w.touched, c)
	}
}

// gap puts a gap, of which a frame is queued, on the list of this round.
func (w *worker) gap(g *gap) {
	w.touch(g.conn)
	w.gaps = append(w.gaps, g)
}
