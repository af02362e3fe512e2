package engine

import "github.com/roomtide/roomtide/chat"

// hideKeys removes the idempotency keys of messages that others sent: a key may be a
// number of the sender's own books. The host's back end sees all.
func (a *Actor) hideKeys(ms []chat.Message) {
	if a.Server {
		return
	}
	for i := range ms {
		if ms[i].User != a.User {
			ms[i].Key = ""
		}
	}
}
