package server

import (
	"context"
	"log/slog"
	"sync"
)

// onceHandler passes each warning on once. The shards on one database server share
// it: each finds the same settings of the server.
type onceHandler struct {
	slog.Handler
	seen *sync.Map // message and attributes of a record -> true
}

// once returns a logger that passes each warning to log once.
func once(log *slog.Logger) *slog.Logger {
	return slog.New(onceHandler{log.Handler(), &sync.Map{}})
}

func (h onceHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		key := r.Message
		r.Attrs(func(a slog.Attr) bool { key += "\x00" + a.String(); return true })
		if _, again := h.seen.LoadOrStore(key, true); again {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h onceHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return onceHandler{h.Handler.WithAttrs(as), h.seen}
}

func (h onceHandler) WithGroup(name string) slog.Handler {
	return onceHandler{h.Handler.WithGroup(name), h.seen}
}
