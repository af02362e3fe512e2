package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
)

// tellBudget says with every answer to a user how much it may still send, so that a
// client slows down before it is refused. API keys are not limited. err is what the
// request is refused with, nil if it is not.
func (c *call) tellBudget(err error) {
	if c.id == nil || c.id.Kind == identity.Server {
		return
	}
	b, ok := c.cfg.Engine.Budget(c.id.User)
	if !ok {
		return
	}
	if e := (*chat.Error)(nil); errors.As(err, &e) && e.Kind == chat.RateLimited {
		b.Remaining = 0 // of what was asked for, be it this or another limit
		b.Reset = max(b.Reset, time.Duration(e.RetryAfter)*time.Millisecond)
	}
	h := c.w.Header()
	h.Set("RateLimit-Limit", strconv.Itoa(b.Limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(b.Remaining))
	h.Set("RateLimit-Reset", strconv.FormatInt(int64((b.Reset+time.Second-1)/time.Second), 10))
}

// tellLimit says that fewer items are answered than asked for.
func tellLimit(h http.Header, most int) { h.Set("Roomtide-Limit", strconv.Itoa(most)) }
