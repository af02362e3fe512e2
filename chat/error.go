package chat

import "errors"

// Kind classes an error by what the asker can do about it. The numbers are
// stable and the list is append-only; every transport maps kinds in one table.
type Kind uint8

const (
	Internal    Kind = 0  // our fault; the cause is in the log, not in the answer
	Invalid     Kind = 1  // the request makes no sense; do not repeat it
	UnknownType Kind = 2  // no such command
	Unauthed    Kind = 3  // say who you are first, or again: the token is missing, wrong or stale
	Forbidden   Kind = 4  // we know who you are and the answer is no
	NotFound    Kind = 5  // no such room, message or user
	NotMember   Kind = 6  // join the room first
	Conflict    Kind = 7  // the key was used for another body
	TooLarge    Kind = 8  // over a limit told in hello
	RateLimited Kind = 9  // too often; RetryAfter says when
	Busy        Kind = 10 // a queue is full; RetryAfter says when; nothing was done
	Unavailable Kind = 11 // a part is down; keep the message and retry with its key
	ReadOnly    Kind = 12 // storage is full; reads work, writes do not
	Fenced      Kind = 13 // another process owns this lane; never shown to clients
)

var kindCodes = [...]string{
	"internal", "invalid", "unknown_type", "unauthenticated", "forbidden", "not_found",
	"not_member", "conflict", "too_large", "rate_limited", "busy", "unavailable", "read_only", "unavailable",
}

// Code is the word clients see for the kind.
func (k Kind) Code() string {
	if int(k) < len(kindCodes) {
		return kindCodes[k]
	}
	return "internal"
}

// Retryable reports whether the same request can succeed later as it is.
func (k Kind) Retryable() bool {
	switch k {
	case RateLimited, Busy, Unavailable, ReadOnly, Fenced:
		return true
	}
	return false
}

// Error is the one error type. Text is for the person or program that asked
// and never holds secrets, message bodies or internals; Err is for the log.
type Error struct {
	Kind       Kind
	Op         string // package.verb, for the log: "lane.commit"
	Subject    string // the room or user it is about, for the log
	Text       string // shown to the asker
	RetryAfter int64  // milliseconds to wait before trying again, 0 if unknown
	Err        error  // the cause, for the log
}

func (e *Error) Error() string {
	s := e.Kind.Code()
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Subject != "" {
		s += " " + e.Subject
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// E makes an error for the asker.
func E(kind Kind, text string) *Error { return &Error{Kind: kind, Text: text} }

// Wrap makes an error with a cause for the log. The asker sees only kind's code.
func Wrap(kind Kind, op string, cause error) *Error {
	return &Error{Kind: kind, Op: op, Err: cause}
}

// KindOf returns the kind of err: Internal for an error that is not ours.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Public returns the error as the asker may see it: kind, text and retry-after
// of the outermost Error, and nothing of an unknown error.
func Public(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return E(Internal, "something went wrong on the server")
	}
	p := &Error{Kind: e.Kind, Text: e.Text, RetryAfter: e.RetryAfter}
	if p.Text == "" {
		p.Text = kindTexts[min(int(e.Kind), len(kindTexts)-1)]
	}
	return p
}

var kindTexts = [...]string{
	"something went wrong on the server", "the request is not valid", "unknown type", "say who you are first",
	"not allowed", "not found", "not a member of this room", "the key was used for another message",
	"too large", "too many requests", "the server is busy", "not available right now, try again",
	"storage is full: reading works, writing does not", "not available right now, try again",
}
