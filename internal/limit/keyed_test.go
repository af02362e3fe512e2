package limit

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/roomtide/roomtide/chat"
)

// A key has its permits, its callers wait in turn, and other keys do not notice.
func TestKeyedWaitsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewKeyed[string](2, 2, "too many")
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			if err := l.Acquire(ctx, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan int, 2)
		for i := range 2 {
			go func() {
				c := t.Context()
				if i == 0 {
					c = ctx
				}
				if l.Acquire(c, "ann") == nil {
					got <- i
				}
			}()
			synctest.Wait()
		}
		if err := l.Acquire(ctx, "ann"); chat.KindOf(err) != chat.Busy || chat.Public(err).RetryAfter == 0 {
			t.Errorf("a third that waits: %v", err)
		}
		if err := l.Acquire(ctx, "bob"); err != nil {
			t.Errorf("another key: %v", err)
		}
		l.Release("bob")
		cancel() // the first that waits gives up
		synctest.Wait()
		l.Release("ann")
		if i := <-got; i != 1 {
			t.Errorf("the permit went to %d", i)
		}
		l.Release("ann")
		l.Release("ann")
		if len(l.keys) != 0 {
			t.Errorf("%d keys are kept", len(l.keys))
		}
	})
}
