package socketio

import (
	"encoding/json"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// Recovery lets a client that was disconnected resume its socket: same id,
// rooms and data, and the events it has missed, in order and each once.
//
// It holds for what this server sent to rooms, ids and namespaces with Emit and
// Send, not for volatile events, events with acks, and what the client sent
// meanwhile. What is not certain is not recovered: the client then gets a
// new socket and has to start over.
//
// Every event to such clients has one more argument, a string at the end. Their
// library remembers it to resume with, and their handlers see it too.
type Recovery struct {
	Window      time.Duration // how long a client may be disconnected; 0 switches recovery off
	MaxBytes    int           // of events kept for a namespace, 16 MiB
	MaxSessions int           // kept for a namespace, 10,000

	// SkipMiddleware lets clients back in without asking the middleware again. A
	// client that was banned meanwhile then resumes.
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
	// The server may notice only after that long that a client is disconnected.
	r.keep = r.Window + interval + timeout
}

// recoverable are the reasons after which a session may be resumed.
func recoverable(reason string) bool {
	switch reason {
	case engineio.ReasonTransportError, engineio.ReasonTransportClose, engineio.ReasonForcedClose,
		engineio.ReasonPingTimeout, engineio.ReasonShuttingDown, ReasonForcedClose:
		return true
	}
	return false
}

// credentials are what a client that resumes adds to its auth.
type credentials struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// Sessions resumes sessions that the program itself keeps, in place of Recovery: for
// programs that write frames of their own, and know from an offset in their events
// what a client has missed. Clients of protocol 4 do not ask.
type Sessions interface {
	// PID is the secret with which the client resumes the socket, known by its id. It
	// is empty for a client that is not to resume. It runs behind Claim.
	PID(s *Socket) string
	// Claim runs behind the middleware, when a client asks to resume with the PID that
	// it was given and the offset of the newest event it has, which is empty if it has
	// none and may be older than that PID. It returns the id of the socket that the
	// client had, if the program will send all it missed behind its CONNECT
	// (Socket.Recovered); else "", and the client starts over. If the connection ends
	// meanwhile, OnConnect does not follow.
	Claim(s *Socket, pid, offset string) (id string)
}

// Recover sets the program's own recovery. Options.Recovery must be off.
func (n *Namespace) Recover(by Sessions) { n.sessions = by }

// resume asks the program's own recovery.
func (s *Socket) resume() {
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

// secret is what the client resumes with; empty: it cannot.
func (s *Socket) secret() string {
	if s.nsp.sessions != nil {
		return s.nsp.sessions.PID(s)
	}
	return s.pid
}

// claim looks for the session that the client asks for. If its old connection still
// lingers, that one ends.
func (s *Socket) claim() {
	h := s.nsp.history
	if h == nil {
		return
	}
	var c credentials
	if err := json.Unmarshal(s.auth, &c); err != nil || c.PID == "" {
		return // no credentials, or some of another shape: a new client
	}
	old, session := h.claim(c.PID)
	if old != nil {
		old.client.forget(old, false)
		old.client.handlers.later(old.onDisconnect(engineio.ReasonTransportClose))
		old.client.shut(engineio.ReasonTransportClose)
	}
	if session == nil {
		return
	}
	session.offset = c.Offset
	s.id, s.session = session.sid, session
}
