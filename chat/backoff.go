package chat

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Backoff is the pause before what has failed with err is tried again, when it had failed
// so many times before: twice as long each time, from least to most, unless err says how
// long (RetryAfter), and not the same for all who wait.
func Backoff(failed int, err error, least, most time.Duration) time.Duration {
	d := least << min(failed, 20)
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		d = time.Duration(e.RetryAfter) * time.Millisecond
	}
	d = min(d, most)
	return d/2 + rand.N(d/2+1)
}
