// Package engineio is a server for Engine.IO, the transport under Socket.IO:
// protocol 4 (Socket.IO clients 3 and 4) and protocol 3 (clients 1 and 2) with
// HTTP long-polling, WebSocket and the upgrade from one to the other. It is a
// library of its own and knows nothing of Socket.IO or of chat.
//
// A Server is an http.Handler for any path; clients expect /engine.io/, those
// of Socket.IO /socket.io/. What happens on a Socket is passed to a Handler, one
// call after the other. README.md has a complete server and says what there is of
// the reference server.
//
// # Two ways to write
//
// Send queues messages for one socket and is what most programs want. When the
// queue is full it fails: backpressure is the program's decision.
//
// TryWrite takes bytes that are WebSocket frames already (see AppendFrame), in
// pieces that may begin and end anywhere in a frame, and never waits; WaitWritable
// waits until it can go on. A program that sends the same message to many sockets
// frames it once and gives every socket the same bytes. Over WebSocket that is one
// system call and no copy. Over long-polling the socket cuts the frames apart again
// and answers in the client's own framing. Bytes taken before an upgrade are
// neither lost nor doubled nor reordered by it. Use one of the two at a time for a
// socket.
//
// # Keep-alive
//
// The server pings clients of protocol 4 every PingInterval and gives them
// PingTimeout to answer; clients of protocol 3 ping, and get an answer. A session
// whose heartbeat stops expires, also one that has never polled.
//
// # What a socket costs
//
// Between two polls a polling socket is a struct and what is queued for it: no
// goroutine and no timer. On Linux that is also true of a plain WebSocket on which
// nothing arrives; elsewhere, and with TLS, it has a goroutine that reads, with a
// buffer of 1 KiB. All sockets share one timer wheel. What is queued is
// bounded by Options.MaxQueued, what is received by Options.MaxPayload, what a
// WebSocket may send before it has taken over its session by a few bytes.
//
// # Admission
//
// Unless Options.Check decides, pages of other origins are refused, except
// those that Options.CORS allows. CORS alone would not do: browsers do not
// apply it to WebSocket. JSONP (protocol 3 only) is refused to pages of other
// sites as far as the browser says where it comes from; Options.NoEIO3 switches
// it off. A session id is the only key to a session and has 144 random bits.
//
// # Differences from the reference server
//
// A missing or unknown EIO parameter is refused instead of taken for protocol
// 3. A close packet on a WebSocket ends it at once. Text that is not UTF-8 is a
// parse error. Answers are not compressed; a proxy may do that.
//
// Text beyond ASCII goes to polling clients of protocol 3 in the binary form of
// a payload, unless they asked for base64: in the text form clients 1 and 2
// disagree about what a length counts. For those that asked for base64 see
// Options.EscapeText. What clients 1 among them send is encoded twice, which is
// recognised and undone; without EscapeText they are answered in the same way.
package engineio
