// Package testlog keeps what a test logs, to be read while it is written.
package testlog

import (
	"bytes"
	"log/slog"
	"sync"
)

// Buffer is a log in memory. Its zero value is empty. Safe for concurrent use.
type Buffer struct {
	mu sync.Mutex

	// Guarded by mu.
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Logger writes entries of a level and above as text.
func (b *Buffer) Logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level}))
}
