// Package bench is "roomtide bench": it generates chat load for a server and reports
// the cost. Without an address it starts a server of its own, from the same program,
// on a free port and in a temporary directory, so that a published figure can be
// repeated with one command.
//
// The load is real: every connection is a WebSocket whose user has joined a room, and
// every message is stored before it is acknowledged. It is also checked: each member
// counts the numbers of the messages it gets, so that a message lost, doubled or out
// of order is reported as an anomaly. The connections are lean on purpose (one
// goroutine, one buffer, no JSON decoding), since they share the machine with the
// server that they measure.
//
// Server CPU comes from the operating system's accounting of the process.
// Absolute figures move with the machine; the floors (see floor.go), measured
// in the same run, are what to compare with.
package bench
