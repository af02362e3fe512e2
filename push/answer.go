package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What drivers on net/http share: reading answers of servers that are not trusted to be
// short, and naming what went wrong.

// maxAnswer is how much of an answer is read. Those of services are some hundred bytes.
const maxAnswer = 64 << 10

// ErrLongAnswer is the error of an answer that is not read to its end.
var ErrLongAnswer = errors.New("the answer is too long")

// Body reads the body of an answer and closes it.
func Body(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = ErrLongAnswer
	}
	return body, err
}

// RetryAfter is what the header of that name says, in seconds or as a date; 0 if it says
// nothing or nothing that makes sense.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Failed is the outcome where no answer came. ctx is that of Send.
func Failed(ctx context.Context, err error) Outcome {
	o := Outcome{Action: Pause, Reason: "network", Err: err}
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		o.Action, o.Reason = Retry, "cancelled"
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		o.Reason = "timeout"
	}
	return o
}

// Said is what a service wrote about a failure, for the log: a short text without the
// given secrets, or nil if there is none.
func Said(text string, secrets ...string) error {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if text == "" {
		return nil
	}
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return fmt.Errorf("the service says %q", text)
}
