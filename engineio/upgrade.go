package engineio

import (
	"net/http"
	"time"

	"github.com/roomtide/roomtide/websocket"
)

// maxProbe bounds what a WebSocket sends before it has taken over its session:
// "2probe" and "5".
const maxProbe = 16

// serveProbe is a WebSocket for a session that exists. It is tried out with a
// ping and a pong while polling goes on, and takes over with an upgrade packet.
func (s *Socket) serveProbe(w http.ResponseWriter, r *http.Request) *refusal {
	if !s.srv.opts.upgrades() {
		return badRequest
	}
	c, err := websocket.Upgrade(w, r, s.srv.upgradeOptions(w, r, false))
	if err != nil {
		return nil // it has been answered
	}
	l := s.newLink(c)
	if !s.srv.spawn(func() { s.probing(l) }) {
		_ = l.conn.NetConn().Close()
	}
	return nil
}

// probing tries the WebSocket out. If it does not take over, the session is as
// it was.
func (s *Socket) probing(l *link) {
	if s.beginProbe(l) && s.awaitProbe(l) && s.takeOver(l) {
		return
	}
	s.mu.Lock()
	if s.probe == l {
		s.probe, s.probed, s.handled = nil, false, nil
	}
	s.mu.Unlock()
	_ = l.conn.NetConn().SetWriteDeadline(time.Now().Add(linger)) // fails only if it is closed
	_ = l.conn.WriteClose(websocket.CodeNone, "")
	_ = closeWrite(l.conn.NetConn()) // hold closes the rest
	hold(l)
}

// beginProbe fails when the session is a WebSocket already, or may become one.
func (s *Socket) beginProbe(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() || s.ws != nil || s.probe != nil {
		return false
	}
	s.probe = l
	return true
}

// awaitProbe waits for ping and upgrade packet.
func (s *Socket) awaitProbe(l *link) bool {
	until := time.Now().Add(s.srv.opts.UpgradeTimeout)
	if l.conn.NetConn().SetDeadline(until) != nil || !expect(l, string(kindPing)+probeData) {
		return false
	}
	if !s.beginHold(until) {
		return false
	}
	s.mu.Lock()
	waiting := s.poll
	s.mu.Unlock()
	if l.conn.WriteMessage(websocket.Text, []byte(string(kindPong)+probeData)) != nil {
		return false
	}
	if waiting != nil {
		s.finishPoll(waiting, kindNoop) // the client waits for the end of this one
	}
	return expect(l, string(kindUpgrade))
}

// beginHold sets probed, before the client can know: polls that come later are held, and
// bodies are answered first. It waits for a body that is being handled, and fails if that
// takes too long.
func (s *Socket) beginHold(until time.Time) bool {
	s.mu.Lock()
	if !s.handling {
		s.probed = true
		s.mu.Unlock()
		return true
	}
	handled := make(chan struct{})
	s.handled = handled
	s.mu.Unlock()
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case <-handled:
		return true
	case <-late.C:
		return false
	}
}

// expect reads one text message and reports whether it is want.
func expect(l *link, want string) bool {
	op, p, err := l.conn.ReadMessage(maxProbe)
	return err == nil && op == websocket.Text && string(p) == want
}

// takeOver makes the WebSocket the transport. It does not wait for a body that is being
// handled, whose handler may wait for the client to read; what comes in on the WebSocket
// waits for its turn.
func (s *Socket) takeOver(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() || l.conn.NetConn().SetDeadline(time.Time{}) != nil {
		return false
	}
	if p := s.poll; p != nil {
		s.poll = nil
		p.refused = true
		p.wake()
	}
	s.takeLink(l)
	s.probe, s.probed = nil, false
	s.srv.counts.upgraded.Add(1)
	s.flush()
	l.reader.Start()
	s.changed()
	return true
}
