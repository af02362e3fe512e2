package wire

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/roomtide/roomtide/chat"
)

var (
	errNUL   = chat.E(chat.Invalid, "data has a NUL character")
	errRange = chat.E(chat.Invalid, "data has a number that is out of range")
)

// canonical returns a checked value in the one form in which data is stored,
// counted, compared and delivered: without white space, with no character escaped
// that need not be, half surrogate pairs replaced by U+FFFD. The order of members
// and the spelling of numbers stay.
//
// Data is opaque here, but a message that some common decoder cannot read would
// hide the whole page that it stands on from that decoder: the error refuses what
// is valid JSON and yet not readable everywhere, which is NUL and numbers that no
// float64 holds. The error is chat.Invalid.
func canonical(v []byte) (json.RawMessage, error) {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); {
		switch c := v[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"':
			s := scanner{b: v, i: i}
			end, escaped := s.quoted()
			if lit := v[i:end]; escaped || bytes.Contains(lit, lineSeparator) {
				text := unescaped(lit)
				if bytes.IndexByte(text, 0) >= 0 {
					return nil, errNUL
				}
				out = appendString(out, text)
			} else {
				out = append(out, lit...)
			}
			i = end
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(v) && bytes.IndexByte(numberBytes, v[end]) >= 0 {
				end++
			}
			if !finite(v[i:end]) {
				return nil, errRange
			}
			out = append(out, v[i:end]...)
			i = end
		default:
			out = append(out, c)
			i++
		}
	}
	return out, nil
}

// lineSeparator begins U+2028 and U+2029, which appendString escapes.
var lineSeparator = []byte("\xe2\x80")

var numberBytes = []byte("0123456789+-.eE")

// shortNumber is a length up to which a number without exponent is in range.
const shortNumber = 300

// finite reports whether a float64 can hold the number, if not exactly.
func finite(n []byte) bool {
	if len(n) <= shortNumber && !bytes.ContainsAny(n, "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(n), 64)
	return err == nil
}
