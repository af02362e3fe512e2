// Package wsapi is the native WebSocket transport: it takes connections in,
// reads commands for their sessions, and gives the hub the means to write.
//
// Before anybody has said who they are, a connection has passed the Origin rule
// and the limits on connections, may send small frames only, and has little
// time. A connection has a goroutine only while something is read from it: it
// reads, does what the frames ask, and goes on to the next connection that has
// something (see park.go). One goroutine for all sends pings and ends those that
// show no sign of life. Writing is the hub's alone, so every frame, pings, pongs
// and goodbyes included, goes through it.
package wsapi
