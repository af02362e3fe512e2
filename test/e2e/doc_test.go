// Package e2e tells, through the real program and real sockets, what people
// who run Roomtide meet: a room with users and a back end in it, a node that is
// killed, a disk that is full, files that are damaged.
package e2e
