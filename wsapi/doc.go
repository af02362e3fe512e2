// Package wsapi is the native WebSocket transport: it admits connections, reads
// commands for their sessions, and gives the hub the means to write.
//
// Before a client has identified itself with hello, its connection has passed the
// Origin rule and the limits on connections, may send small frames only, and has
// little time. A connection has a goroutine only while something is read from it:
// that goroutine reads, does what the frames ask, and goes on to the next
// connection that has something to read (internal/poll). One goroutine for all
// connections sends the keep-alive pings and ends connections whose client has
// been silent for too long (internal/wheel).
//
// Writing is the hub's alone, so every frame, pings, pongs and goodbyes included,
// goes through it. Backpressure works in both directions: a client that does not
// read falls back to a cursor in the hub, and one that sends faster than its
// commands are done is not read.
package wsapi
