// Package wsock is the native WebSocket transport: it takes connections in,
// reads commands for their sessions, and gives the hub the means to write.
//
// Before anybody has said who they are, a connection has passed the Origin rule
// and the limits on connections, may send small frames only, and has little
// time. Every connection is one goroutine that reads; one goroutine for all of
// them sends pings and ends those that show no sign of life. Writing is the
// hub's alone, so every frame, pings, pongs and goodbyes included, goes through
// it.
package wsock
