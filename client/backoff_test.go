package client

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/websocket"
)

func TestBackoff(t *testing.T) {
	var limits []time.Duration
	b := newBackoff(&Options{MinWait: 100 * time.Millisecond, MaxWait: time.Second})
	b.draw = func(limit time.Duration) time.Duration { limits = append(limits, (limit-1)/time.Millisecond); return 0 }
	for range 6 {
		b.next(chat.RetryNow)
	}
	b.good()
	b.next(chat.RetryNow)
	b.good()
	b.next(chat.RetryLater)
	b.failures = 1000
	b.next(chat.RetryNow)
	want := []time.Duration{100, 200, 400, 800, 1000, 1000, 100, 1000, 1000}
	if !slices.Equal(limits, want) {
		t.Errorf("limits %d, want %d", limits, want)
	}
}

// The pause is drawn from the whole range, so that clients spread.
func TestBackoffSpreads(t *testing.T) {
	b := newBackoff(&Options{MinWait: time.Second, MaxWait: time.Second})
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := b.next(chat.RetryNow)
		low, high = min(low, d), max(high, d)
	}
	if low > 100*time.Millisecond || high < 900*time.Millisecond || high > time.Second {
		t.Errorf("drawn from %v to %v, want 0 to 1 s", low, high)
	}
}

func TestRetryOf(t *testing.T) {
	tests := []struct {
		err   error
		token bool
		want  chat.Retry
	}{
		{io.EOF, false, chat.RetryNow},
		{errors.New("connection refused"), false, chat.RetryNow},
		{&GoodbyeError{chat.ByeDraining}, false, chat.RetryNow},
		{&GoodbyeError{chat.ByeBusy}, false, chat.RetryLater},
		{&GoodbyeError{chat.ByeRevoked}, true, chat.RetryNever},
		{&GoodbyeError{chat.ByeExpired}, false, chat.RetryNever},
		{&GoodbyeError{chat.ByeExpired}, true, chat.RetryNow},
		{&websocket.CloseError{Code: 1006}, false, chat.RetryNow},
		{&websocket.CloseError{Code: 4200}, false, chat.RetryLater},
		{&websocket.CloseError{Code: 4403}, false, chat.RetryNever},
		{&websocket.HandshakeError{Status: 503}, false, chat.RetryLater},
		{chat.E(chat.Unauthed, ""), false, chat.RetryNever},
		{chat.E(chat.Unauthed, ""), true, chat.RetryLater},
		{chat.E(chat.Forbidden, ""), true, chat.RetryNever},
		{chat.E(chat.Busy, ""), false, chat.RetryLater},
		{fmt.Errorf("wrapped: %w", chat.E(chat.Internal, "")), false, chat.RetryLater},
	}
	for _, tt := range tests {
		if got := retryOf(tt.err, tt.token); got != tt.want {
			t.Errorf("retryOf(%v, %v) = %v, want %v", tt.err, tt.token, got, tt.want)
		}
	}
}
