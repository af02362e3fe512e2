package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

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

// unsupported is Invalid with the status 415: a body of a kind that is not read here.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// Unwrap is what the client is told.
func (u unsupported) Unwrap() error { return chat.E(chat.Invalid, string(u)) }

// fail answers with the public part of err, and logs faults of the server.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, pub := a.judge(r, err)
	if errors.As(err, new(unsupported)) {
		w.Header().Set("Accept", "application/json")
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

// judge returns the status and the public part of err, and logs faults of the server.
func (a *API) judge(r *http.Request, err error) (int, *chat.Error) {
	pub := chat.Public(err)
	status, known := statuses[pub.Kind]
	if !known {
		status = http.StatusInternalServerError
	}
	if errors.As(err, new(unsupported)) {
		status = http.StatusUnsupportedMediaType
	}
	switch {
	case status == http.StatusInternalServerError:
		a.log.Error("a request failed", "method", r.Method, "route", r.Pattern, "err", err)
	case status >= 500 && !errors.Is(err, context.Canceled):
		a.unserved(r, err)
	}
	return status, pub
}

// warnEvery is how often requests that were not served are logged, by route and kind of
// error: how many there are is for clients to choose.
const warnEvery = 10 * time.Second

// unserved logs that a request was not served, or counts it for the next such line.
func (a *API) unserved(r *http.Request, err error) {
	first, before := a.warnings.next(r.Pattern+" "+chat.KindOf(err).Code(), time.Now())
	if first {
		a.log.Warn("a request was not served", "method", r.Method, "route", r.Pattern, "err", err, "not_logged_before", before)
	}
}

// warnings bounds log lines. Its keys are few: routes and kinds of errors.
type warnings struct {
	mu    sync.Mutex
	lines map[string]*warning
}

type warning struct {
	last   time.Time
	silent int // since then
}

// next reports whether the line of the key is due, and how many of it were not since the
// one before.
func (w *warnings) next(key string, now time.Time) (due bool, silent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[key]
	if l != nil && now.Sub(l.last) < warnEvery {
		l.silent++
		return false, 0
	}
	if l != nil {
		silent = l.silent
	}
	if w.lines == nil {
		w.lines = map[string]*warning{}
	}
	w.lines[key] = &warning{last: now}
	return true, silent
}

func writeProblem(w http.ResponseWriter, status int, e *chat.Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	w.Write(problemJSON(status, e))
}

func problemJSON(status int, e *chat.Error) []byte {
	code := e.Kind.Code()
	body, err := json.Marshal(problem{
		Type: "urn:roomtide:error:" + code, Title: http.StatusText(status), Status: status,
		Detail: e.Text, Code: code, RetryAfter: e.RetryAfter,
	})
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return body
}
