package websocket

import (
	"fmt"
	"net/http"
	"unicode/utf8"
)

// Close codes of RFC 6455 that this package sends or names. Codes from 4000 to
// 4999 belong to applications.
const (
	CodeNormal   = 1000
	CodeProtocol = 1002
	CodeNone     = 1005 // the peer's close frame had no code; never sent
	CodeBadText  = 1007
	CodeTooLarge = 1009
)

// Error means that the peer broke the rules. Code is the close code to send;
// nothing more can be read from the connection.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("websocket: %s (%d)", e.Text, e.Code) }

func protocolError(text string) error { return &Error{CodeProtocol, text} }

// CloseError means that the peer ended the connection in good order. The reader
// answers with WriteClose and the same code.
type CloseError struct {
	Code   int // CodeNone if the peer gave none
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the peer (%d %q)", e.Code, e.Reason)
}

// HandshakeError is a server's answer to Dial that was not a WebSocket.
type HandshakeError struct {
	Status int
	Header http.Header
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("websocket: the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// parseClose reads the payload of a close frame: a *CloseError, or an *Error
// if the payload breaks the rules.
func parseClose(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: CodeNone}
	}
	if len(p) == 1 {
		return protocolError("half a close code")
	}
	code := int(p[0])<<8 | int(p[1])
	if !mayBeSent(code) {
		return protocolError("reserved close code")
	}
	if !utf8.Valid(p[2:]) {
		return &Error{CodeBadText, "close reason is not UTF-8"}
	}
	return &CloseError{code, string(p[2:])}
}

// mayBeSent reports whether code may stand in a close frame (RFC 6455 section
// 7.4 and the IANA registry).
func mayBeSent(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
