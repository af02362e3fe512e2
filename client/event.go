package client

import "github.com/roomtide/roomtide/chat"

// Position is how far a consumer has a room: every change up to Rev, and every
// message up to Seq. Stored with what was consumed, it is what JoinOptions.After
// needs to go on in another process.
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

// News is what happened to the client itself.
type News uint8

const (
	Connected    News = iota + 1 // there is a connection again
	Disconnected                 // it is lost; the client comes back by itself
	CaughtUp                     // Room: everything missed was told, from here on it is live
	Reset                        // Room: the server's history was replaced (a restored backup); forget what you have
	Left                         // Room: we are no longer a member, or may not come back (then Err says why)
	Ended                        // the client does not come back; see Err. The last event
)
