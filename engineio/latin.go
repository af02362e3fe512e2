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

// undouble takes one of the two encodings of a client 1 off. Text of a client 2
// is recognised, unless it looks exactly as if it had been encoded twice.
func undouble(text []byte) []byte {
	once := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 0xff {
			return text
		}
		once = append(once, byte(r))
	}
	if len(once) == len(text) || !utf8.Valid(once) {
		return text
	}
	return once
}
