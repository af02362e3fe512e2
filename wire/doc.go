// Package wire turns commands, replies and events into JSON and back. There is
// one vocabulary for every transport: a native WebSocket sends these objects as
// they are, Socket.IO and HTTP carry the same objects in their own envelopes.
// docs/protocol is the specification; its golden frames are the tests of this
// package.
//
// Servers use Decode, and the Append functions, which write JSON without
// reflection because every message passes here. Clients use AppendCommand and
// DecodeServer.
//
// Decode checks form alone: syntax, types and known commands. Whether a room
// exists, a text is too long or a user has the permission is decided by the engine.
package wire
