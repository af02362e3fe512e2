// Package websocket is RFC 6455 and nothing else: the opening handshake of
// both sides, the frame codec, and a connection that reads whole messages. It
// knows nothing of chat, negotiates no extensions (so there is no compression
// to bomb) and imports only the standard library.
//
// A server that writes the same bytes to many connections frames them once
// with AppendHeader and writes them to NetConn itself; this package then only
// reads. Everybody else uses WriteMessage.
//
// # What a connection holds
//
// After Upgrade the buffers of net/http are garbage. A ReadMessage that waits for
// the peer holds a read buffer of 1 KiB. A larger frame makes the buffer grow as
// its bytes arrive, never because a length was announced, and the buffer shrinks
// back once the frame was handed out. With a Source that does not wait there is
// neither a goroutine nor a buffer while there is nothing to read, and half a
// frame costs what has arrived of it.
//
// # Who may call what
//
// One goroutine at a time calls ReadMessage. WriteMessage, WriteClose and Close
// may be called from any goroutine. OnPing and OnPong are set before the first
// ReadMessage and run inside it.
package websocket
