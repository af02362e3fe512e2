package session

import (
	"golang.org/x/time/rate"

	"github.com/roomtide/roomtide/chat"
)

// A client may be refused as often as this: more than any client that heeds what it
// is told, even one that joins all its rooms too early.
const (
	refusalRate  = 50 // per second
	refusalBurst = 1000
)

// refused charges a command that was refused, and ends the connection of a client
// that goes on and on: what is refused is refused without cost to anything but the
// processor. What was the server's fault does not count.
func (s *Session) refused(kind chat.Kind) {
	switch kind {
	case chat.Internal, chat.Unavailable, chat.Fenced, chat.ReadOnly, chat.Busy:
		return
	}
	if s.known.Load() {
		s.deps.Engine.Refused(s.actor, kind)
	}
	l := s.refusals.Load()
	if l == nil {
		l = rate.NewLimiter(refusalRate, refusalBurst)
		if !s.refusals.CompareAndSwap(nil, l) {
			l = s.refusals.Load()
		}
	}
	if !l.AllowN(s.deps.Now(), 1) {
		s.conn.Close(chat.ByeFlood)
	}
}
