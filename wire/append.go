package wire

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. U+2028 and U+2029 are escaped for
// readers that take JSON for JavaScript; bytes that are not UTF-8 become U+FFFD.
func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	from := 0 // s[from:i] is to be copied as it is
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if b >= ' ' && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = appendEscape(append(dst, s[from:i]...), b)
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, s[from:i]...), `\ufffd`...)
			from = i + n
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[from:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xF])
			from = i + n
		}
		i += n
	}
	return append(append(dst, s[from:]...), '"')
}

// appendEscape appends an ASCII byte that may not stand in a string.
func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xF])
}

// The field functions append a comma, the name and the value. Names need no escaping.

func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, ',', '"'), name...), '"', ':')
}

func appendStringField[S ~string](dst []byte, name string, s S) []byte {
	return appendString(appendName(dst, name), s)
}

func appendIntField[N ~int | ~int64](dst []byte, name string, n N) []byte {
	return strconv.AppendInt(appendName(dst, name), int64(n), 10)
}

func appendBoolField(dst []byte, name string, b bool) []byte {
	return strconv.AppendBool(appendName(dst, name), b)
}

func appendTimeField(dst []byte, name string, ms int64) []byte {
	dst = append(appendName(dst, name), '"')
	return append(time.UnixMilli(ms).UTC().AppendFormat(dst, timeLayout), '"')
}

// The appendOpt functions append nothing for the zero value.

func appendOptString[S ~string](dst []byte, name string, s S) []byte {
	if s == "" {
		return dst
	}
	return appendStringField(dst, name, s)
}

func appendOptInt[N ~int | ~int64](dst []byte, name string, n N) []byte {
	if n == 0 {
		return dst
	}
	return appendIntField(dst, name, n)
}

// appendOptJSON appends a value that is JSON already.
func appendOptJSON(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return append(appendName(dst, name), value...)
}

// appendArray appends items with one between them, in brackets.
func appendArray[T any](dst []byte, items []T, one func([]byte, *T) []byte) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, &items[i])
	}
	return append(dst, ']')
}

func appendStrings[S ~string](dst []byte, items []S) []byte {
	return appendArray(dst, items, func(dst []byte, s *S) []byte { return appendString(dst, *s) })
}

// openObject turns the comma at dst[start] into the brace that begins an
// object whose fields were appended there, and ends the object.
func openObject(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}
