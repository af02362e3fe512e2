package poll

import (
	"net"
	"sync/atomic"
)

// Runner is the owner of a connection. Run reads from it until there is nothing to
// read and Park gives it away, or until the connection ends.
type Runner interface{ Run() }

// Reader is the reading half of a connection, for one Runner, which holds it by
// value: there are many. It is opened by Readers.Open, begins with Start, and then
// belongs to the goroutine that runs its Runner, except for End and Release, which
// any goroutine may call.
//
// Where a connection cannot be parked (TLS, systems without epoll) Read waits
// instead, and its Runner keeps the goroutine.
type Reader struct {
	// Set once.
	readers *Readers
	runner  Runner
	conn    net.Conn
	socket  Socket
	parks   bool // socket is open: it can be parked

	// Owned by the goroutine that runs the Runner.
	waits bool // Read waits

	// Safe for any goroutine.
	parked atomic.Bool // no goroutine reads; the one that resets it does next
	ended  atomic.Bool // Read waits, because its deadline matters now
}

// Open makes r the Reader of a connection. Until Start it belongs to the caller.
func (rs *Readers) Open(r *Reader, conn net.Conn, runner Runner) {
	r.readers, r.runner, r.conn = rs, runner, conn
	if tcp, plain := conn.(*net.TCPConn); plain {
		p := rs.open()
		r.parks = p != nil && r.socket.Open(p, tcp, r) == nil
	}
	r.waits = !r.parks
}

// Start has a worker run the Runner. It does not wait.
func (r *Reader) Start() { r.readers.start(r) }

// Read reads what has arrived. Where nothing has, it returns syscall.EAGAIN, and
// the Runner should Park; or it blocks, where the connection cannot be parked.
func (r *Reader) Read(p []byte) (int, error) {
	if r.waits || r.ended.Load() {
		return r.conn.Read(p)
	}
	return r.socket.Read(p)
}

// Park gives the connection away. When it returns true the connection is parked, or
// belongs to another goroutine already: the Runner returns without touching it.
// When it returns false it is still the caller's, and from now on Read waits.
func (r *Reader) Park() bool {
	r.parked.Store(true)
	// ended is set before End tries to take a parked connection, so one of the
	// two sees the other.
	if !r.ended.Load() && r.socket.Park() == nil {
		return true
	}
	if !r.take() {
		return true
	}
	r.waits = true
	return false
}

// take makes a parked connection the caller's.
func (r *Reader) take() bool { return r.parked.CompareAndSwap(true, false) }

// Wake has a worker run the Runner if the connection is parked (Sleeper).
func (r *Reader) Wake() {
	if r.take() {
		r.Start()
	}
}

// Parked reports whether the connection is parked. It is for tests.
func (r *Reader) Parked() bool { return r.parked.Load() }

// Parks reports whether the connection can be parked.
func (r *Reader) Parks() bool { return r.parks }

// End is called when the connection is ending or was closed by another goroutine
// than its reader: from now on Read waits, within the deadline of the connection,
// and a worker runs the Runner.
func (r *Reader) End() {
	r.ended.Store(true)
	r.Wake()
}

// Release ends the watching. It comes before the connection is closed by its
// Runner.
func (r *Reader) Release() {
	if r.parks {
		r.socket.Release()
	}
}
