// Package wire turns commands, replies and events into JSON and back. There is
// one vocabulary for every transport: a native WebSocket sends these objects as
// they are, Socket.IO and HTTP carry the same objects in their own envelopes.
// docs/protocol is the specification; its golden frames are the tests of this
// package.
//
// Servers use Decode, and the Append functions, which write valid JSON by hand
// because every message passes here. Clients use AppendCommand and DecodeServer.
//
// Decode judges form only: syntax, types and known commands. Whether a room
// exists, a text is too long or a user may speak is decided further in.
package wire
