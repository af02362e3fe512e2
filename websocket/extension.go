package websocket

import (
	"errors"
	"net/http"
	"strings"
)

const (
	deflateName = "permessage-deflate"

	// deflateTerms is what this package offers and answers: every message is
	// compressed by itself, in both directions.
	deflateTerms = deflateName + "; server_no_context_takeover; client_no_context_takeover"

	// maxOffers bounds how many extensions of a list are looked at. Browsers
	// offer one.
	maxOffers = 16

	extensionsField = "Sec-Websocket-Extensions"
)

// chooseDeflate returns the answer to the first offer of permessage-deflate in
// the request that this package can keep, or "". What is unknown or cannot be
// kept is passed over; a list is read as far as it is well-formed.
func chooseDeflate(h http.Header) string {
	l := extensionList{strings.Join(h[extensionsField], ",")}
	for range maxOffers {
		e, ok := l.next()
		switch {
		case !ok:
			return ""
		case e.name != deflateName || e.refused:
		case e.serverBits == "":
			return deflateTerms
		case e.serverBits == "15": // flate has no smaller window
			return deflateTerms + "; server_max_window_bits=15"
		}
	}
	return ""
}

// checkDeflate judges the extensions a server chose. deflate is whether it took
// the offer, which has to be there if it did.
func checkDeflate(h http.Header, offered bool) (deflate bool, err error) {
	l := extensionList{strings.Join(h[extensionsField], ",")}
	if l.rest == "" {
		return false, nil
	}
	if !offered {
		return false, errors.New("websocket: the server chose an extension that was not offered")
	}
	e, ok := l.next()
	if !ok || l.rest != "" || e.name != deflateName || e.refused ||
		!e.serverAlone || !e.clientAlone || e.clientBits != "" {
		return false, errors.New("websocket: the server chose an extension on terms that were not offered")
	}
	return true, nil
}

// extension is one element of Sec-WebSocket-Extensions. The parameters are
// those of permessage-deflate (RFC 7692 section 7.1).
type extension struct {
	name        string
	refused     bool // a parameter is unknown, there twice or wrong
	serverAlone bool // server_no_context_takeover
	clientAlone bool // client_no_context_takeover
	serverBits  string
	clientBits  string
}

// set takes note of a parameter. given is whether it has a value.
func (e *extension) set(name, value string, given bool) {
	ok := false
	switch name {
	case "server_no_context_takeover":
		ok = !given && !e.serverAlone
		e.serverAlone = true
	case "client_no_context_takeover":
		ok = !given && !e.clientAlone
		e.clientAlone = true
	case "server_max_window_bits":
		ok = e.serverBits == "" && windowBits(value)
		e.serverBits = value
	case "client_max_window_bits":
		if !given {
			value = "15"
		}
		ok = e.clientBits == "" && windowBits(value)
		e.clientBits = value
	}
	e.refused = e.refused || !ok
}

// windowBits reports whether s is a number from 8 to 15 as it has to be written.
func windowBits(s string) bool {
	return s == "8" || s == "9" || len(s) == 2 && s[0] == '1' && '0' <= s[1] && s[1] <= '5'
}

// extensionList is read from left to right, every byte once.
type extensionList struct{ rest string }

// next reads an element and the comma after it. It returns false at the end of the
// list, and at what is none of RFC 6455 section 9.1; nothing can be read after it.
func (l *extensionList) next() (e extension, ok bool) {
	l.space()
	if l.rest == "" {
		return e, false
	}
	e.name = l.token()
	for e.name != "" && l.eat(';') {
		name := l.token()
		if name == "" {
			return e, false
		}
		given, value := l.eat('='), ""
		if given {
			if value, ok = l.value(); !ok {
				return e, false
			}
		}
		e.set(name, value, given)
	}
	return e, l.eat(',') || l.rest == ""
}

// value reads a token or a quoted string. In a quoted string anything may stand;
// no parameter takes what could not be a token.
func (l *extensionList) value() (string, bool) {
	if l.rest == "" || l.rest[0] != '"' {
		v := l.token()
		return v, v != ""
	}
	var v []byte
	for i := 1; i < len(l.rest); i++ {
		switch b := l.rest[i]; {
		case b == '"':
			l.rest = l.rest[i+1:]
			return string(v), true
		case b == '\\' && i+1 < len(l.rest):
			i++
		}
		v = append(v, l.rest[i])
	}
	return "", false
}

// token reads as much of a token as there is, perhaps nothing.
func (l *extensionList) token() string {
	n := 0
	for n < len(l.rest) && tokenByte(l.rest[n]) {
		n++
	}
	t := l.rest[:n]
	l.rest = l.rest[n:]
	return t
}

func tokenByte(b byte) bool {
	return ' ' < b && b < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?={}`, b) < 0
}

// eat reads b, with the space around it, if it is next.
func (l *extensionList) eat(b byte) bool {
	l.space()
	if l.rest == "" || l.rest[0] != b {
		return false
	}
	l.rest = l.rest[1:]
	l.space()
	return true
}

func (l *extensionList) space() { l.rest = strings.TrimLeft(l.rest, " \t") }
