package client

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
)

// backoff is the pause before the next connection. It is drawn evenly from 0 to a
// limit that doubles with every failure, so that clients that were disconnected at
// the same time do not reconnect at the same time.
type backoff struct {
	min, max time.Duration
	failures int
	draw     func(limit time.Duration) time.Duration // rand.N, or a test's
}

func newBackoff(o *Options) *backoff {
	return &backoff{min: o.MinWait, max: o.MaxWait, draw: rand.N[time.Duration]}
}

// next returns how long to wait. laterFailures is what "come back later" counts
// for at once.
func (b *backoff) next(when chat.Retry) time.Duration {
	const laterFailures = 4
	if when == chat.RetryLater {
		b.failures = max(b.failures, laterFailures)
	}
	limit := b.max
	if b.failures < 30 {
		limit = min(b.max, b.min<<b.failures)
	}
	b.failures++
	return b.draw(limit + 1)
}

// good resets the failures: the connection has held.
func (b *backoff) good() { b.failures = 0 }

// GoodbyeError is the error of a connection that the server ended with a goodbye. It
// is the Err of Disconnected and Ended.
type GoodbyeError struct{ chat.Goodbye }

func (e *GoodbyeError) Error() string {
	return "client: the server said goodbye: " + e.Reason + ": " + e.Text
}

// waitOf is how long a goodbye asks to stay away at least.
func waitOf(err error) time.Duration {
	var bye *GoodbyeError
	if errors.As(err, &bye) {
		return time.Duration(bye.Wait) * time.Millisecond
	}
	return 0
}

// retryOf returns when the client may reconnect after err.
func retryOf(err error, freshTokens bool) chat.Retry {
	var bye *GoodbyeError
	if errors.As(err, &bye) {
		if freshTokens && bye.Code == chat.ByeExpired.Code {
			return chat.RetryNow
		}
		return bye.Retry()
	}
	var shut *websocket.CloseError
	if errors.As(err, &shut) && shut.Code >= 4000 && shut.Code < 4600 {
		return retryOf(&GoodbyeError{chat.Goodbye{Code: shut.Code}}, freshTokens)
	}
	var answer *websocket.HandshakeError
	if errors.As(err, &answer) {
		return chat.RetryLater
	}
	var refused *chat.Error
	if errors.As(err, &refused) { // the answer to hello
		if refused.Kind == chat.Unauthed && freshTokens || refused.Kind.Retryable() || refused.Kind == chat.Internal {
			return chat.RetryLater
		}
		return chat.RetryNever
	}
	return chat.RetryNow
}
