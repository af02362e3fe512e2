// Package sioapi is chat over Socket.IO, for stock clients from 1.x to 4.x.
//
// The vocabulary is that of the native protocol: an event's name is the type of
// the command, its first argument the object with the fields, and the ack
// callback gets the object that answers it. What happens in rooms comes as
// events of the same names. The user identifies itself in the auth of the
// handshake (token, or user for guests) or, with clients that have no auth, in an
// event hello. docs/protocol/socketio.md is the specification.
//
// Everything that goes to a client passes the hub: room events as frames that
// are encoded once for all Socket.IO connections, replies and what Socket.IO
// itself sends as private frames. A client that reads slowly, or does not poll,
// makes the hub feel backpressure (engineio.Socket.TryWrite).
//
// The session of a client that was disconnected is resumable, by Socket.IO's own
// connection state recovery, after any time: the offset of an event is its position
// in its room, the hub's delivery log says what else was written before it, and
// what was missed is read from the store (docs/decisions/0009). The resumable
// sessions are in memory (resumeStore), and in a file while the node is down.
package sioapi
