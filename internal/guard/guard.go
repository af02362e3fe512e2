// Package guard reports panics that were recovered in the handlers of one
// component, in one form: an error in the log and a count.
//
// recover works only in the deferred function itself, so that a guard is written
// where it is needed:
//
//	defer func() {
//		if v := recover(); v != nil {
//			panics.Report(log, v, "call", name)
//		}
//	}()
package guard

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// Panics counts the panics of one component. The zero value is ready to use, and
// safe for concurrent use.
type Panics struct{ n atomic.Uint64 }

// Report counts a panic and logs where it happened. v is what recover returned,
// attrs are attributes of the log line, such as the name of the handler. It is
// called by the deferred function that recovered, while the stack still holds the
// place of the panic.
//
// Of v the log gets only the text of a runtime error, and of every other value
// only the type: a value may quote what a client sent.
func (p *Panics) Report(log *slog.Logger, v any, attrs ...any) {
	p.n.Add(1)
	reason := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		reason = e.Error()
	}
	log.With(attrs...).Error("a handler panicked", "panic", reason, "stack", string(debug.Stack()))
}

// Load returns how many panics were reported.
func (p *Panics) Load() uint64 { return p.n.Load() }
