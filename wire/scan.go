package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

// maxDepth bounds the nesting of objects and arrays inside a command. The data of
// one client is parsed by all others, whose parsers may have limits of their own.
const maxDepth = 32

// scanner walks the members of one JSON object and yields each value as the bytes
// it is written with. It accepts exactly what JSON allows, up to maxDepth. Strings,
// numbers and words are checked here, nested values by encoding/json.
type scanner struct {
	b []byte
	i int
}

var (
	errSyntax   = chat.E(chat.Invalid, "not a JSON object")
	errBOM      = chat.E(chat.Invalid, "not a JSON object: it begins with a byte order mark (U+FEFF)")
	errEncoding = chat.E(chat.Invalid, "not valid UTF-8")
	errDepth    = chat.E(chat.Invalid, "nested too deeply")
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// scanObject calls member for each member of the object that is all of b, in
// order, until the first error of syntax; member gets the name unescaped.
func scanObject(b []byte, member func(name, value []byte)) error {
	if !utf8.Valid(b) {
		return errEncoding
	}
	s := scanner{b: b}
	if !s.take('{') {
		if bytes.HasPrefix(b, byteOrderMark) {
			return errBOM
		}
		return errSyntax
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return errSyntax
		}
		s.space()
		name := s.str()
		if name == nil || !s.take(':') {
			return errSyntax
		}
		s.space()
		value, err := s.value()
		if err != nil {
			return err
		}
		member(unescaped(name), value)
	}
	if s.space(); s.i < len(b) {
		return errSyntax
	}
	return nil
}

// unescaped is the text of a checked string literal.
func unescaped(lit []byte) []byte {
	if bytes.IndexByte(lit, '\\') < 0 {
		return lit[1 : len(lit)-1]
	}
	var s string
	if json.Unmarshal(lit, &s) != nil {
		return nil // str has checked it
	}
	return []byte(s)
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\n' || s.b[s.i] == '\r') {
		s.i++
	}
}

// take consumes c after white space, if it is there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// value consumes one value and returns its bytes.
func (s *scanner) value() ([]byte, error) {
	if s.i == len(s.b) {
		return nil, errSyntax
	}
	var v []byte
	switch s.b[s.i] {
	case '"':
		v = s.str()
	case '{', '[':
		return s.nested()
	default:
		v = s.word()
	}
	if v == nil {
		return nil, errSyntax
	}
	return v, nil
}

// str consumes a string literal with its quotes; nil if there is none.
func (s *scanner) str() []byte {
	end, escaped := s.quoted()
	if end < 0 {
		return nil
	}
	lit := s.b[s.i:end]
	if escaped && !json.Valid(lit) {
		return nil
	}
	s.i = end
	return lit
}

// quoted returns the end of the string that begins here, -1 if none does.
func (s *scanner) quoted() (end int, escaped bool) {
	if s.i == len(s.b) || s.b[s.i] != '"' {
		return -1, false
	}
	for i := s.i + 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return -1, false
		}
	}
	return -1, false
}

// word consumes a number, true, false or null; nil if there is none.
func (s *scanner) word() []byte {
	from := s.i
	for s.i < len(s.b) && strings.IndexByte(",}] \t\r\n", s.b[s.i]) < 0 {
		s.i++
	}
	switch w := s.b[from:s.i]; {
	case string(w) == "true", string(w) == "false", string(w) == "null", isInt(w), json.Valid(w):
		return w
	}
	return nil
}

// isInt reports whether w is a JSON number without fraction and exponent.
func isInt(w []byte) bool {
	w = bytes.TrimPrefix(w, []byte{'-'})
	if len(w) == 0 || w[0] == '0' && len(w) > 1 {
		return false
	}
	for _, c := range w {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// nested consumes an object or array. Its end is where as many brackets were
// closed as opened; encoding/json checks whether they match, and all the rest.
func (s *scanner) nested() ([]byte, error) {
	from, depth := s.i, 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			end, _ := s.quoted()
			if end < 0 {
				return nil, errSyntax
			}
			s.i = end
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, errDepth
			}
		case '}', ']':
			depth--
		}
		if s.i++; depth == 0 {
			if v := s.b[from:s.i]; json.Valid(v) {
				return v, nil
			}
			return nil, errSyntax
		}
	}
	return nil, errSyntax
}
