// Package poll reads TCP sockets without a goroutine for each: a Socket is read
// until the kernel has nothing more, then parked, and a Poller calls the Wake of
// its Sleeper when more arrives. A parked socket costs what is in the Socket and
// nothing else.
//
// The runtime watches the same descriptors, so reads, writes and deadlines of
// the net.Conn go on working. The Poller's own epoll instance is itself watched
// by the runtime: waiting for all parked sockets is one goroutine that waits like
// any other, and not a thread.
//
// # Ownership
//
// A socket belongs to one goroutine at a time. Park gives it away: the next to
// call Read or Park is the goroutine that Wake starts. Release may be called at any
// time, before the connection is closed. Closing it without Release does no harm,
// but there is no Wake any more.
//
// Where there is no epoll, New returns errors.ErrUnsupported.
//
// # Readers
//
// Transports use Readers: a small pool of goroutines that run the Runner of each
// connection that has something to read. Readers know whether a connection is
// parked, running or ended, and take a goroutine for a connection that cannot be
// parked.
package poll

// Sleeper is the owner of a parked socket. Wake is called by the poller's
// goroutine and must not wait. It is called once for each Park, when there is
// something to read or the peer has ended the connection. A call that was on its
// way may still come after Release.
type Sleeper interface{ Wake() }
