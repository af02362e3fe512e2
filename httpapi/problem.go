package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/roomtide/roomtide/chat"
)

// statuses is the one table from kinds of errors to HTTP.
var statuses = map[chat.Kind]int{
	chat.Internal:    http.StatusInternalServerError,
	chat.Invalid:     http.StatusBadRequest,
	chat.UnknownType: http.StatusNotFound,
	chat.Unauthed:    http.StatusUnauthorized,
	chat.Forbidden:   http.StatusForbidden,
	chat.NotFound:    http.StatusNotFound,
	chat.NotMember:   http.StatusForbidden,
	chat.Conflict:    http.StatusConflict,
	chat.TooLarge:    http.StatusRequestEntityTooLarge,
	chat.RateLimited: http.StatusTooManyRequests,
	chat.Busy:        http.StatusServiceUnavailable,
	chat.Unavailable: http.StatusServiceUnavailable,
	chat.ReadOnly:    http.StatusInsufficientStorage,
	chat.Fenced:      http.StatusServiceUnavailable,
}

// problem is RFC 9457, with the code that every transport uses.
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail"`
	Code       string `json:"code"`
	RetryAfter int64  `json:"retry_after,omitempty"` // milliseconds
}

// fail answers with the public part of err, and logs faults of the server.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	pub := chat.Public(err)
	status, known := statuses[pub.Kind]
	if !known {
		status = http.StatusInternalServerError
	}
	switch {
	case status == http.StatusInternalServerError:
		a.log.Error("a request failed", "method", r.Method, "route", r.Pattern, "err", err)
	case status >= 500 && !errors.Is(err, context.Canceled):
		a.log.Warn("a request was not served", "method", r.Method, "route", r.Pattern, "err", err)
	}
	if pub.Kind == chat.Unauthed {
		w.Header().Set("WWW-Authenticate", `Bearer realm="roomtide"`)
	}
	if pub.Kind.Retryable() {
		// At least a second: the header has no smaller unit.
		w.Header().Set("Retry-After", strconv.FormatInt(max(1, (pub.RetryAfter+999)/1000), 10))
	}
	writeProblem(w, status, pub)
}

func writeProblem(w http.ResponseWriter, status int, e *chat.Error) {
	code := e.Kind.Code()
	body, err := json.Marshal(problem{
		Type: "urn:roomtide:error:" + code, Title: http.StatusText(status), Status: status,
		Detail: e.Text, Code: code, RetryAfter: e.RetryAfter,
	})
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	w.Write(body)
}
