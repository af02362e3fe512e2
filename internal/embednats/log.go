package embednats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// logger is what the server writes, as lines of this program. What the server calls a
// notice is for debugging: this package says itself what operators need, in their words.
type logger struct{ s *Server }

// Parts of lines that mean something here.
const duplicateName = "has a duplicate name"

// What a server says at each attempt of another one, several times a second, is told again
// after a minute.
const (
	refusedTLS = "TLS route handshake error: "
	tellAgain  = time.Minute
	maxRefused = 16 // reasons that are remembered
)

// refusal tells why another server is refused, or refuses this one, unless it was told lately.
func (s *Server) refusal(text string) {
	_, why, _ := strings.Cut(text, refusedTLS)
	now := time.Now()
	s.mu.Lock()
	told, again := s.refused[why]
	again = again && now.Sub(told) < tellAgain
	if !again {
		if len(s.refused) >= maxRefused {
			clear(s.refused)
		}
		s.refused[why] = now
	}
	s.mu.Unlock()
	if !again {
		s.log.Error("a connection to another NATS server of the cluster fails: all servers need certificates of one authority (nats.tls_ca), each for the address at which it is found; roomtide doctor tells which one has no such certificate", "err", why)
	}
}

// known is what this package tells in its own words.
var known = []string{duplicateName, refusedTLS, "Error trying to connect to route", "Waiting for routing to be established", "has not established contact with a meta leader"}

func (l logger) write(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, duplicateName) && !l.s.twin.Swap(true) {
		l.s.log.Error("TWO NATS SERVERS OF THE CLUSTER HAVE THE NAME OF THIS NODE: give every node, and the witness, a name of its own", "name", l.s.cfg.Name)
	}
	if strings.Contains(text, refusedTLS) {
		l.s.refusal(text)
	}
	if slices.ContainsFunc(known, func(part string) bool { return strings.Contains(text, part) }) {
		level = slog.LevelDebug
	}
	l.s.log.Log(context.Background(), level, "NATS server: "+text)
}

// Noticef and the others implement natsd.Logger.
func (l logger) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }
func (l logger) Warnf(format string, v ...any)   { l.write(slog.LevelWarn, format, v) }
func (l logger) Errorf(format string, v ...any)  { l.write(slog.LevelError, format, v) }
func (l logger) Debugf(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l logger) Tracef(format string, v ...any)  {}

// Fatalf notes what keeps the server from running; it returns to Start.
func (l logger) Fatalf(format string, v ...any) {
	l.s.fatal.CompareAndSwap(nil, fmt.Sprintf(format, v...))
	l.write(slog.LevelDebug, format, v)
}
