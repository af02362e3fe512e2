// Package e2e tests the real program through real sockets in situations of production:
// a room with users and a back end, a node that is killed, a full disk, damaged files,
// bad input.
package e2e
