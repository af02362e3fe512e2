package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"
)

// UpgradeOptions tune the server's side of the handshake.
type UpgradeOptions struct {
	Protocols []string    // subprotocols the server speaks, the preferred one first
	Header    http.Header // more fields for the 101 answer
	Deflate   bool        // take an offer of permessage-deflate
}

// handshakeTimeout bounds the writing of the 101 answer.
const handshakeTimeout = 5 * time.Second

// Accept returns the Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key.
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// IsUpgrade reports whether r asks for a WebSocket at all.
func IsUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

// Upgrade turns the request into a WebSocket. When it returns an error it has
// answered the request, or the connection is gone. Checking the Origin is the
// caller's business, before this.
//
// The handler should start a new goroutine for reading and return: the stack of
// a goroutine that has served HTTP stays large.
func Upgrade(w http.ResponseWriter, r *http.Request, opts UpgradeOptions) (*Conn, error) {
	if status, text := checkRequest(r); status != 0 {
		switch status {
		case http.StatusUpgradeRequired:
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Version", "13")
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", http.MethodGet)
		}
		http.Error(w, text, status)
		return nil, errors.New("websocket: " + text)
	}
	protocol, extension := chooseProtocol(r.Header, opts.Protocols), ""
	if opts.Deflate {
		extension = chooseDeflate(r.Header)
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this connection cannot become a WebSocket", http.StatusNotImplemented)
		return nil, err
	}
	if w, ok := nc.(interface{ Underlying() net.Conn }); ok { // of a listener that looked at the first bytes
		nc = w.Underlying()
	}
	if err := answer(nc, r.Header.Get("Sec-Websocket-Key"), protocol, extension, opts.Header); err != nil {
		nc.Close()
		return nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := newConn(nc, false, protocol, early)
	c.deflate = extension != ""
	return c, nil
}

// checkRequest returns the HTTP status that refuses r, or 0.
func checkRequest(r *http.Request) (status int, text string) {
	switch {
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "a WebSocket begins with GET"
	case !IsUpgrade(r):
		return http.StatusUpgradeRequired, "this address speaks WebSocket"
	case !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1:
		return http.StatusBadRequest, "a WebSocket begins with HTTP/1.1"
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-Websocket-Version") != "13":
		return http.StatusUpgradeRequired, "only WebSocket version 13 is spoken here"
	case r.ContentLength != 0:
		// A body would be read as frames after the hijack.
		return http.StatusBadRequest, "a WebSocket handshake has no body"
	case len(r.Header["Sec-Websocket-Key"]) != 1 || !validKey(r.Header.Get("Sec-Websocket-Key")):
		return http.StatusBadRequest, "Sec-WebSocket-Key is missing or malformed"
	}
	return 0, ""
}

func validKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(b) == 16
}

// Offered returns the subprotocols that a client offers, its preferred one first.
// What cannot be the name of one is left out.
func Offered(r *http.Request) (names []string) {
	for name := range tokens(r.Header, "Sec-Websocket-Protocol") {
		if name != "" && !strings.ContainsFunc(name, separates) {
			names = append(names, name)
		}
	}
	return names
}

// separates reports whether r cannot be in a token of HTTP.
func separates(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
}

func chooseProtocol(h http.Header, spoken []string) string {
	for _, p := range spoken {
		for t := range tokens(h, "Sec-Websocket-Protocol") {
			if t == p {
				return p
			}
		}
	}
	return ""
}

func answer(nc net.Conn, key, protocol, extension string, extra http.Header) error {
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(Accept(key))
	b.WriteString("\r\n")
	if protocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + protocol + "\r\n")
	}
	if extension != "" {
		b.WriteString("Sec-WebSocket-Extensions: " + extension + "\r\n")
	}
	extra.Write(&b)
	b.WriteString("\r\n")
	// The deadlines of the HTTP server end here.
	if err := nc.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if _, err := nc.Write([]byte(b.String())); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}

// hasToken reports whether the field lists token, whatever its case.
func hasToken(h http.Header, field, token string) bool {
	for t := range tokens(h, field) {
		// The lengths keep Unicode's other spellings of a letter out.
		if len(t) == len(token) && strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// tokens are the comma separated values of the field, given in canonical form.
func tokens(h http.Header, field string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range h[field] {
			for t := range strings.SplitSeq(v, ",") {
				if !yield(strings.TrimSpace(t)) {
					return
				}
			}
		}
	}
}
