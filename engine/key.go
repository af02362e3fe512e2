package engine

import "github.com/roomtide/roomtide/chat"

// hideKeys removes the idempotency keys of messages that others sent: a key may be a
// number of the sender's own books. The host's back end sees all. A key that was made here
// (chat.MakeKey) is never shown.
func (a *Actor) hideKeys(ms []chat.Message) {
	for i := range ms {
		a.hideKey(&ms[i])
	}
}

// hideKey is hideKeys for one message, which may be nil and is the caller's own.
func (a *Actor) hideKey(m *chat.Message) {
	if m != nil && (!a.Server && m.User != a.User || chat.IsMadeKey(m.Key)) {
		m.Key = ""
	}
}
