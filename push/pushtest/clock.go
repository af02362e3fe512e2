package pushtest

import (
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/push/standin"
)

// Clock is the time, ahead by what a test moves it. The zero value is the time itself.
type Clock struct {
	mu  sync.Mutex
	off time.Duration // guarded by mu
}

// Now is time.Now of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// Open opens a stand-in with a clock, and closes it when the test ends.
func Open(t testing.TB, now func() time.Time) *standin.Server {
	t.Helper()
	s, err := standin.Open(standin.Config{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
