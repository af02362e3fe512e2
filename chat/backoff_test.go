package chat

import (
	"errors"
	"testing"
	"time"
)

// The pauses double up to the longest, unless the error says how long.
func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		failed int
		err    error
		want   time.Duration // and not less than half of it
	}{
		{0, errors.New("x"), time.Second},
		{3, errors.New("x"), 8 * time.Second},
		{1000, errors.New("x"), time.Minute},
		{3, &Error{Kind: Busy, RetryAfter: 250}, 250 * time.Millisecond},
		{3, &Error{Kind: Busy, RetryAfter: 1 << 40}, time.Minute},
		{2, &Error{Kind: Unavailable}, 4 * time.Second},
	} {
		for range 50 {
			if d := Backoff(c.failed, c.err, time.Second, time.Minute); d > c.want || d < c.want/2 {
				t.Fatalf("%v after %d failures and %v, want about %v", d, c.failed, c.err, c.want)
			}
		}
	}
}
