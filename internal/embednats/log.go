package embednats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// logger is what the server writes, as lines of this program. What the server calls a
// notice is for debugging: this package says itself what operators need, in their words.
type logger struct{ s *Server }

// Parts of lines that mean something here.
const duplicateName = "has a duplicate name"

// known is what this package tells in its own words.
var known = []string{duplicateName, "Error trying to connect to route", "Waiting for routing to be established", "has not established contact with a meta leader"}

func (l logger) write(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, duplicateName) && !l.s.twin.Swap(true) {
		l.s.log.Error("TWO NATS SERVERS OF THE CLUSTER HAVE THE NAME OF THIS NODE: give every node, and the witness, a name of its own", "name", l.s.cfg.Name)
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
