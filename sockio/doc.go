// Package sockio is chat over Socket.IO, for stock clients from 1.x to 4.x.
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
// Socket.IO's own connection state recovery is off. It needs an offset of the
// client's own in every event, and the events of a room are the same bytes for
// everybody. Clients resume by rev instead, which works after any absence and
// on any node.
package sockio
