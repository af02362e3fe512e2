package socketio

import (
	"encoding/json"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// Recovery lets a client that was cut off come back to its socket: same id,
// rooms and data, and the events it has missed, in order and each once.
//
// It holds for what was said by this server to rooms, ids and namespaces with
// Emit and Send, not for volatile events, events with acks, and what the client
// said meanwhile. What is not certain is not recovered: the client then gets a
// new socket and has to start over.
//
// Every event to such clients has one more argument, a string at the end. Their
// library remembers it to come back with, and their handlers see it too.
type Recovery struct {
	Window      time.Duration // how long a client may be away; 0 switches recovery off
	MaxBytes    int           // of events kept for a namespace, 16 MiB
	MaxSessions int           // clients of a namespace that are away, 10,000

	// SkipMiddleware lets clients back in without asking the middleware again.
	// Who was banned meanwhile then comes back.
	SkipMiddleware bool

	keep time.Duration // how long events are kept
}

func (r *Recovery) setDefaults(e *engineio.Options) {
	if r.MaxBytes <= 0 {
		r.MaxBytes = 16 << 20
	}
	if r.MaxSessions <= 0 {
		r.MaxSessions = 10_000
	}
	interval, timeout := e.PingInterval, e.PingTimeout
	if interval <= 0 {
		interval = 25 * time.Second
	}
	if timeout <= 0 {
		timeout = 20 * time.Second
	}
	// A client may have been cut off for that long before anybody noticed.
	r.keep = r.Window + interval + timeout
}

// recoverable are the reasons after which a client may come back.
func recoverable(reason string) bool {
	switch reason {
	case engineio.ReasonTransportError, engineio.ReasonTransportClose, engineio.ReasonForcedClose,
		engineio.ReasonPingTimeout, engineio.ReasonShuttingDown, ReasonForcedClose:
		return true
	}
	return false
}

// credentials are what a client that comes back adds to its auth.
type credentials struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// Sessions lets clients come back to what the program itself keeps, in place of
// Recovery: for those who write frames of their own, and can tell from an offset
// in their events what a client has missed. Clients of protocol 4 do not ask.
type Sessions interface {
	// PID is the secret with which the client comes back to the socket of that id.
	PID(id string) string
	// Claim runs behind the middleware, when a client says that it was here before:
	// the PID that it was given and the offset of the newest event it has, which is
	// empty if it has none and may be older than that PID. It returns the id of the
	// socket that the client had, if it will be told all it missed behind its CONNECT
	// (Socket.Recovered); else "", and the client starts over. If the connection ends
	// meanwhile, OnConnect does not follow.
	Claim(s *Socket, pid, offset string) (id string)
}

// Recover sets the program's own recovery. Options.Recovery must be off.
func (n *Namespace) Recover(by Sessions) { n.sessions = by }

// comeBack asks the program's own recovery.
func (s *Socket) comeBack() {
	by := s.nsp.sessions
	var c credentials
	if by == nil || s.Protocol() == 4 || json.Unmarshal(s.auth, &c) != nil || c.PID == "" {
		return
	}
	s.guard("Claim", func() {
		if id := by.Claim(s, c.PID, c.Offset); id != "" {
			s.id, s.recovered = id, true
			s.nsp.srv.counts.recovered.Add(1)
		}
	})
}

// secret is what the client needs to come back; empty: it cannot.
func (s *Socket) secret() string {
	if s.nsp.sessions != nil {
		return s.nsp.sessions.PID(s.id)
	}
	return s.pid
}

// claim looks for the session that the client wants back. If its old connection
// still lingers, that one ends.
func (s *Socket) claim() {
	l := s.nsp.history
	if l == nil {
		return
	}
	var c credentials
	if err := json.Unmarshal(s.auth, &c); err != nil || c.PID == "" {
		return // no credentials, or some of another shape: a new client
	}
	old, session := l.claim(c.PID)
	if old != nil {
		old.client.forget(old, false)
		old.client.turns.later(old.onDisconnect(engineio.ReasonTransportClose))
		old.client.shut(engineio.ReasonTransportClose)
	}
	if session == nil {
		return
	}
	session.offset = c.Offset
	s.id, s.session = session.sid, session
}
