package client

import "github.com/roomtide/roomtide/chat"

// Position is how far a consumer has received a room: every change up to Rev, and
// every message up to Seq. Stored with what was consumed, it lets another process go
// on from there (JoinOptions.After).
type Position struct {
	Rev chat.Rev
	Seq chat.Seq
}

// Event is something that happened in a joined room (Kind says what), or, with
// a Kind of 0, news of the client itself.
//
// Changes that were missed while the connection was away come as they are now
// and not step by step: a new message once in its present form (a tombstone if
// it was deleted), an older message that changed in any way as EventEdited or
// EventDeleted with the whole message, a member as EventMember.
type Event struct {
	chat.Event
	At   Position // where the consumer stands once it has handled this; zero for what is not durable
	News News
	Err  error // of Disconnected, Left and Ended
}

// News is a change of the state of the client itself.
type News uint8

const (
	Connected    News = iota + 1 // there is a connection again
	Disconnected                 // it is lost; the client reconnects by itself
	CaughtUp                     // Room: everything missed was delivered; what follows is live
	Reset                        // Room: the server's history was replaced (a restored backup); discard what is known of it
	Left                         // Room: the user is no longer a member, or a join was refused (then Err is the reason)
	Ended                        // the client does not reconnect; see Err. The last event
)
