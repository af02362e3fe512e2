// Package websocket is RFC 6455 and RFC 7692: the opening handshake of both
// sides, the frame codec, messages that are compressed one by one, and a
// connection that reads whole messages. It knows nothing of chat and imports
// only the standard library.
//
// A server that writes the same bytes to many connections frames them once
// with AppendHeader and writes them to NetConn itself; this package then only
// reads. All other programs use WriteMessage.
//
// # Compression
//
// The only extension is permessage-deflate, off unless UpgradeOptions or Dialer
// ask for it, and always without context takeover, on both sides: no message
// refers to one before it. So a connection needs no window and no compressor of
// its own (which would be 32 KiB to read and more than a megabyte to write), and
// a server compresses a message once with DeflateFrame for all connections
// that say Deflate. A message that would not become smaller is sent as it is.
//
// The limit of ReadMessage holds for what a compressed message becomes as well:
// inflating ends one byte over it, so a bomb costs what an honest message may.
//
// The length of a compressed message tells something of its text. A message that
// holds a secret beside words of an attacker's choice lets the attacker guess the
// secret.
//
// # What a connection holds
//
// After Upgrade the buffers of net/http are garbage. A ReadMessage that waits for
// the peer holds a read buffer of 1 KiB. A larger frame makes the buffer grow as
// its bytes arrive, never because a length was announced, and the buffer shrinks
// back once the frame was handed out. With a Source that does not wait there is
// neither a goroutine nor a buffer while there is nothing to read, and half a
// frame costs what has arrived of it. Inflaters and compressors are pooled: a
// connection has one only for the moment in which a whole message is inflated or
// a frame is made out, and never while it waits for the peer.
//
// # Concurrency
//
// One goroutine at a time calls ReadMessage. WriteMessage, WriteClose and Close
// may be called from any goroutine. OnPing and OnPong are set before the first
// ReadMessage and run inside it.
package websocket
