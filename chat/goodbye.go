package chat

// Goodbye is the reason for which the server ends a connection. On a WebSocket Code
// is the close code. Its range says when the client may reconnect:
//
//	4000-4199  at once (resume by rev; nothing is lost)
//	4200-4399  later, after a growing random pause
//	4400-4599  not before something changed (another token, another program)
type Goodbye struct {
	Code   int
	Reason string // one word, stable
	Text   string // for a log or a message to the user
	Wait   int64  // the least pause in milliseconds; 0: the client chooses
}

func bye(code int, reason, text string) Goodbye {
	return Goodbye{Code: code, Reason: reason, Text: text}
}

var (
	ByeDraining  = bye(4000, "draining", "the server is restarting")
	ByeSlow      = bye(4001, "slow", "the connection did not keep up")
	ByeTimeout   = bye(4002, "timeout", "no sign of life")
	ByeBusy      = bye(4200, "busy", "the server is full")
	ByeFlood     = bye(4201, "flood", "far too many commands")
	ByeInternal  = bye(4202, "internal", "something went wrong on the server")
	ByeProtocol  = bye(4400, "protocol", "the frame was not understood")
	ByeTooLarge  = bye(4401, "too_large", "the frame is too large")
	ByeExpired   = bye(4402, "expired", "the token has expired")
	ByeRevoked   = bye(4403, "revoked", "the connection was ended by an administrator")
	ByeNoHello   = bye(4404, "no_hello", "hello did not come in time")
	ByeForbidden = bye(4405, "forbidden", "this connection is not allowed")
)

// Goodbyes are all of them.
var Goodbyes = []Goodbye{ByeDraining, ByeSlow, ByeTimeout, ByeBusy, ByeFlood, ByeInternal, ByeProtocol, ByeTooLarge, ByeExpired, ByeRevoked, ByeNoHello, ByeForbidden}

// Retry says when a client may reconnect.
type Retry uint8

const (
	RetryNow Retry = iota
	RetryLater
	RetryNever
)

// Retry returns what the range of the code says.
func (g Goodbye) Retry() Retry {
	switch {
	case g.Code < 4200:
		return RetryNow
	case g.Code < 4400:
		return RetryLater
	}
	return RetryNever
}
