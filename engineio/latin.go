package engineio

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Clients 1 and 2 both say EIO=3 and differ in how they put text beyond ASCII
// into the text form of a payload: clients 1 encode it as UTF-8 before the body
// is encoded as UTF-8 again, and expect the same. In the binary form they agree,
// so this is about clients that asked for base64 only.

// EscapeJSON appends JSON with all characters beyond ASCII as \u escapes. They
// stand in strings only, so it means the same. What is not UTF-8 becomes U+FFFD.
func EscapeJSON(dst, json []byte) []byte {
	for len(json) > 0 {
		r, size := utf8.DecodeRune(json)
		json = json[size:]
		switch {
		case r < utf8.RuneSelf:
			dst = append(dst, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return dst
}

// undouble takes one of the two encodings of a client 1 off, and notes what the
// text tells of the client. Of a client 2 only the first text that looks exactly as
// if it had been encoded twice is changed, if no other came before.
func (s *Socket) undouble(text []byte) []byte {
	if s.marked(markOnce) {
		return text
	}
	once, twice := undouble(text)
	switch {
	case twice:
		s.marks.Or(markTwice)
	case !ascii(text):
		s.marks.Or(markOnce)
	}
	return once
}

// escaper is how text beyond ASCII is written for a client that asked for base64; nil:
// as it is.
func (s *Socket) escaper() func(dst, text []byte) []byte {
	if s.srv.opts.EscapeText == nil && s.marked(markTwice) && !s.marked(markOnce) {
		return double
	}
	return s.srv.opts.EscapeText
}

// double appends text, which is UTF-8, encoded once more.
func double(dst, text []byte) []byte {
	for _, c := range text {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

// undouble takes one encoding off text that looks as if it had two, and reports
// whether it does.
func undouble(text []byte) (once []byte, twice bool) {
	once = make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 0xff {
			return text, false
		}
		once = append(once, byte(r))
	}
	if len(once) == len(text) || !utf8.Valid(once) {
		return text, false
	}
	return once, true
}

func ascii(text []byte) bool { return utf16Len(text) == len(text) }
