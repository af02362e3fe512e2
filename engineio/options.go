package engineio

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Message is what the two sides send each other. Data of a received message is
// valid until the handler returns.
type Message struct {
	Binary bool
	Plain  bool // for Send: not compressed, whatever was agreed on
	Data   []byte
}

// Handler is called with what happens on sockets. Calls for one socket come one
// after the other: Open, any number of Message, and Close once. Calls for
// different sockets run at the same time. While a call runs nothing is read from that
// client, so a slow handler slows its own client down. A panic ends the socket.
type Handler interface {
	Open(s *Socket)
	Message(s *Socket, m Message)
	// Close gets the reason: one of the Reason constants, or what Socket.Close was given.
	Close(s *Socket, reason string)
}

// PongHandler is a Handler that is also called when a client has answered a ping,
// which proves that it has received all that was sent before that ping. Only
// protocol 4 has that.
type PongHandler interface {
	Pong(s *Socket)
}

// TooLargeHandler is a Handler that is also called when a client has sent more
// than Options.MaxPayload or MaxBody allows. The call tells the client (Send) and
// closes the socket; nothing more is received meanwhile, and a socket that is not
// closed within seconds ends with ReasonTransportError. Without this method it
// does at once.
type TooLargeHandler interface {
	TooLarge(s *Socket)
}

// Reasons for the end of a socket.
const (
	ReasonTransportClose = "transport close"      // the client left
	ReasonTransportError = "transport error"      // the client broke the rules of the transport
	ReasonParseError     = "parse error"          // the client sent what is not a packet
	ReasonPingTimeout    = "ping timeout"         // nothing came from the client in time
	ReasonForcedClose    = "forced close"         // Socket.Close, or a handler that panicked
	ReasonShuttingDown   = "server shutting down" // Server.Close
)

var (
	// ErrClosed says that the socket has ended.
	ErrClosed = errors.New("engineio: the socket is closed")
	// ErrFull says that the client does not keep up and Options.MaxQueued is
	// reached. Nothing was queued.
	ErrFull = errors.New("engineio: too much is queued for the socket")
	// ErrText says that a message cannot be sent as text: it is not UTF-8, or it
	// holds U+001E, which separates packets in protocol 4.
	ErrText = errors.New("engineio: text is not UTF-8 or holds U+001E")
	// ErrFrame says that TryWrite was given something else than text frames.
	ErrFrame = errors.New("engineio: not an unmasked, unfragmented text frame")
)

// Names of transports.
const (
	polling   = "polling"
	webSocket = "websocket"
)

// Options tune a Server. Zero values mean the defaults.
type Options struct {
	PingInterval   time.Duration // 25 s
	PingTimeout    time.Duration // 20 s
	UpgradeTimeout time.Duration // a WebSocket must take over its session within this, 10 s

	// Deflate lets sessions that begin as a WebSocket agree on permessage-deflate
	// (see package websocket). A session that was upgraded does without: frames may
	// wait for it that were made when it polled.
	Deflate bool

	Transports []string // default: polling, websocket
	NoUpgrade  bool     // a session stays on the transport it began with
	NoEIO3     bool     // refuse protocol 3

	// MaxPayload bounds a packet from a client, MaxBody all the packets of one
	// request body. Clients of Socket.IO before 4.5 put all that waits into one
	// body, so it should be more than they ever have waiting. 64 bodies larger than
	// MaxPayload are received at a time; the others wait.
	MaxPayload int // bytes, 1,000,000
	MaxBody    int // bytes, MaxPayload if that is more

	// Distrust holds bodies to MaxPayload until Socket.Trust is called.
	Distrust bool

	MaxQueued  int // bytes waiting for one client, 1 MiB
	MaxSockets int // sockets at once, 0 is no limit

	// JSONP serves clients of protocol 3 in browsers without CORS, whose answers are
	// scripts. Any page may load a script, and some browsers do not say which page it
	// is: leave it off unless browsers that need it have to be served.
	JSONP bool

	// CheckOrigin judges the page that makes a request, for every request of a session
	// as well. An error refuses it like one of Check. Nil refuses pages of other
	// origins that CORS does not allow.
	CheckOrigin func(*http.Request) error

	// Check is the admission of new sessions, before anything is allocated for one and
	// behind CheckOrigin. An error refuses it with status 403, or with that of a
	// *CheckError, and with the error's text. Nil admits all.
	Check func(*http.Request) error

	// CORS decides which pages of other origins may read answers. What it allows
	// is answered with that origin and with credentials, so it should know them
	// by name. Nil allows none.
	CORS func(origin string) bool

	// Headers adds header fields to an answer, before anything is written: to the
	// handshake of a session, which is first, and to all its other requests that are
	// served. An *http.Cookie of Cookie's fields, whose value is the session's id, is
	// set by the handshake, for proxies that choose a server by it.
	Headers func(h http.Header, r *http.Request, first bool)
	Cookie  *http.Cookie

	// GenerateID makes the id of a session, in place of 144 random bits. An id is the
	// only key to a session: it must not be guessed, and never be given twice. A
	// session whose id is taken is refused.
	GenerateID func(*http.Request) string

	// Elsewhere serves a request of a session that this server does not have, where
	// sessions of several servers are told apart by their ids (GenerateID): it hands the
	// request to the server that has it, and reports false, with nothing written, if none
	// has. The page was judged, and header fields for CORS are set. Nil: none has.
	Elsewhere func(w http.ResponseWriter, r *http.Request, sid string) bool

	// Refused is called for every request that is refused, with the code and the text
	// of the answer.
	Refused func(r *http.Request, code int, text string)

	// Subprotocol chooses one of the WebSocket subprotocols that a client offers, or
	// "", with which most clients end the connection. Nil takes the first.
	Subprotocol func(r *http.Request, offered []string) string
	// OpenCORS lets pages of every origin read answers, without credentials unless
	// CORS knows the origin. Clients of protocol 3 in browsers ask for credentials
	// when they poll, so they need CORS.
	OpenCORS bool

	// EscapeText appends text beyond ASCII in another way, for clients of protocol
	// 3 that asked for base64: among them clients 1 cannot read it, and end their
	// session. For JSON, which Socket.IO sends, that is EscapeJSON. Nil sends text
	// as it is.
	EscapeText func(dst, text []byte) []byte

	Log *slog.Logger // nil discards
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		v     *time.Duration
		usual time.Duration
	}{{&o.PingInterval, 25 * time.Second}, {&o.PingTimeout, 20 * time.Second}, {&o.UpgradeTimeout, 10 * time.Second}} {
		if *d.v <= 0 {
			*d.v = d.usual
		}
	}
	if len(o.Transports) == 0 {
		o.Transports = []string{polling, webSocket}
	}
	if o.MaxPayload <= 0 {
		o.MaxPayload = 1_000_000
	}
	o.MaxBody = max(o.MaxBody, o.MaxPayload)
	if o.MaxQueued <= 0 {
		o.MaxQueued = 1 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// upgrades reports whether a polling session may go on as a WebSocket.
func (o *Options) upgrades() bool { return !o.NoUpgrade && slices.Contains(o.Transports, webSocket) }
