// Package sioapi is chat over Socket.IO, for stock clients from 1.x to 4.x.
//
// The vocabulary is that of the native protocol: an event's name is the type of
// the command, its first argument the object with the fields, and the ack
// callback gets the object that answers it. What happens in rooms comes as
// events of the same names. Who is speaking is told in the auth of the
// handshake (token, or user for guests) or, by clients without auth, in an
// event hello. docs/protocol/socketio.md is the specification.
//
// Everything that goes to a client passes the hub: room events as frames that
// are encoded once for all Socket.IO connections, replies and what Socket.IO
// itself has to say as private frames.
//
// Clients that were cut off come back to where they were, by Socket.IO's own
// connection state recovery, for any length of absence: the offset of an event is
// its place in its room, the hub knows what else was written before it, and what
// was missed is read from the store (docs/decisions/0009).
package sioapi
