package sioapi

import "github.com/roomtide/roomtide/socketio"

// AtEnd adds a function that runs when a connection ends: its socket is not found any
// more, and its session is not in the store yet. It is called before clients connect.
func (h *Handler) AtEnd(f func()) {
	h.io.Of("/").OnDisconnect(func(*socketio.Socket, string) { f() })
}
