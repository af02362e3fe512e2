// Package socketio is a server for Socket.IO: protocol 5 (clients 3 and 4) and
// protocol 4 (clients 1 and 2) on package engineio. It is a library of its own
// and knows nothing of chat; README.md has a complete server and says what there is
// of the reference server and what is not. Roomtide itself uses the lower half
// (see Frames of one's own); rooms, broadcasts, acks of clients and Recovery serve
// programs that use the package as a library.
//
//	io := socketio.New(socketio.Options{})
//	io.Of("/").On("hello", func(s *socketio.Socket, e *socketio.Event) {
//		s.To("room1").Emit("greeting", e.Args[0]) // check len(e.Args) first
//		e.Ack("ok")
//	})
//	http.Handle("/socket.io/", io)
//
// # Handlers
//
// Handlers belong to a Namespace and are set before the server serves; what
// belongs to one client is in Socket.SetData, or in Socket.On. The handlers of one connection
// run one after the other and nothing is read from the client meanwhile, so a
// slow handler slows down its own client only: backpressure. A panic in a handler
// ends its socket. Arguments are the JSON that came, byte for byte, and may be
// kept. Every method may be called from inside a handler, except Socket.Call.
//
// # Order and loss
//
// A client gets what one goroutine sends it in that order, an event and its
// attachments with nothing in between. What is queued for a client is bounded
// by engineio.Options.MaxQueued; when that is reached volatile (ephemeral) events
// are dropped and the connection is closed at any other one, so that nothing is
// missing in the middle. Events to a client that is not connected are lost, unless Recovery
// brings them back.
//
// # What clients can do
//
// Before a client has joined a namespace it can send a CONNECT and nothing
// else, and must do so within Options.ConnectTimeout. Anything out of order and
// anything that is not a packet closes the connection. The number of
// attachments and arguments, the length of names and ids, and the bytes and the
// time that an incomplete packet may take are limited. Placeholders of
// attachments are checked in both directions.
//
// Admission is decided by engineio.Options.Check for connections and by
// Namespace.Use for namespaces. There are no namespaces but "/" and those made with Of.
//
// # Differences from the reference server
//
// A packet that is no packet ends its connection with "parse error" (there:
// "forced close"). A number as the name of an event is the string of its
// digits. Each attachment is named by one placeholder. The id of a socket is not a room; see Namespace.ToID.
// Packets for a namespace that the server has just made the client leave are
// ignored instead of closing the connection. Recovery keeps its promise also for
// clients that were quiet, that got nothing yet, that got volatile events, and
// whose old connection lingers; and it asks the middleware again unless told
// otherwise. There are no namespaces by pattern.
//
// # Frames of one's own
//
// AppendEvent and AppendAck make whole WebSocket frames for
// engineio.Socket.TryWrite, and Options.Writer takes what this package would
// send itself, so that a program can put all of it into one queue. Such a program
// also knows better what a client has missed: see Sessions.
package socketio
