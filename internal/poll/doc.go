// Package poll reads TCP sockets without a goroutine for each: a Socket is read
// as long as something is there, then parked, and a Poller wakes whoever parked
// it when there is more. A parked socket costs what is in the Socket and nothing
// else.
//
// The runtime watches the same descriptors, so reads, writes and deadlines of
// the net.Conn go on working. The Poller's own epoll instance is itself watched
// by the runtime: waiting for all parked sockets is one goroutine that waits like
// any other, and not a thread.
//
// # Who may call what
//
// Whoever reads a socket parks it, and has given it away with that: the next to
// Read or Park is whoever was woken. Release may be called at any time, by
// whoever is about to close the connection. Closing it without Release does no
// harm, but nobody is woken any more.
//
// Where there is no epoll, New returns errors.ErrUnsupported.
//
// Transports use Readers, which keep the goroutines that read and know when a
// connection is parked, running or ended, and take a goroutine for each
// connection where it has to be.
package poll

// Sleeper is whoever parks a socket. Wake is called by the poller's goroutine
// and must not wait. It comes once for each Park, when there is something to
// read or the peer has ended. One that was on its way may still come after
// Release.
type Sleeper interface{ Wake() }
