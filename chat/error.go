package chat

import "errors"

// Kind classifies an error by what the caller can do about it. The numbers are
// stable and the list is append-only; every transport maps kinds in one table.
type Kind uint8

const (
	Internal    Kind = 0  // a fault of the server; the cause is in the log, not in the answer
	Invalid     Kind = 1  // the request makes no sense; do not repeat it
	UnknownType Kind = 2  // no such command
	Unauthed    Kind = 3  // no valid credential: the token is missing, wrong or expired
	Forbidden   Kind = 4  // the identity is known and does not have the permission
	NotFound    Kind = 5  // no such room, message or user
	NotMember   Kind = 6  // join the room first
	Conflict    Kind = 7  // the key was used for another body
	TooLarge    Kind = 8  // over a limit; the ack of hello has the limits
	RateLimited Kind = 9  // too often; RetryAfter says when
	Busy        Kind = 10 // a queue is full; RetryAfter says when; nothing was done
	Unavailable Kind = 11 // a component is down; retry with the same key
	ReadOnly    Kind = 12 // storage is full: reads work, writes do not
	Fenced      Kind = 13 // another process owns the lane; clients get the code of Unavailable
)

var kindCodes = [...]string{
	"internal", "invalid", "unknown_type", "unauthenticated", "forbidden", "not_found",
	"not_member", "conflict", "too_large", "rate_limited", "busy", "unavailable", "read_only", "unavailable",
}

// Code is the name of the kind on the wire.
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

// Error is the one error type of the module. Text is shown to the client and never
// holds secrets, texts of messages or internals; Err is for the log.
type Error struct {
	Kind       Kind
	Op         string // package.verb, for the log: "lane.commit"
	Subject    string // the room or user it is about, for the log
	Text       string // shown to the client
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

// E returns an error with a text for the client.
func E(kind Kind, text string) *Error { return &Error{Kind: kind, Text: text} }

// Wrap returns an error with a cause for the log. The client sees the kind alone.
func Wrap(kind Kind, op string, cause error) *Error {
	return &Error{Kind: kind, Op: op, Err: cause}
}

// KindOf returns the kind of err, Internal if there is no Error in its chain.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Public returns err as the client may see it: kind, text and retry-after of the
// outermost Error, and a general text for an error that is none.
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
