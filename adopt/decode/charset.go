package decode

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// repairUTF8 takes back one wrong step between bytes and characters, row by row, as
// such tables are mixed: UTF-8 that was stored as, or read as, Latin-1 or Windows-1252.
//
// A text whose characters beyond ASCII are all of Windows-1252, and whose bytes there
// are valid UTF-8, was UTF-8. Bytes that are not valid UTF-8 are Windows-1252.
func repairUTF8(s string) string {
	if !utf8.ValidString(s) {
		return fromMixed(s)
	}
	if isASCII(s) {
		return s
	}
	if b, ok := latinBytes(s); ok && utf8.ValidString(b) {
		return b
	}
	return s
}

// fromMixed reads bytes that are partly UTF-8 and partly Windows-1252.
func fromMixed(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			if r = charmap.Windows1252.DecodeByte(s[i]); r == utf8.RuneError {
				r = rune(s[i])
			}
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// latinBytes are the bytes of s in Windows-1252, if it has all characters. MySQL's
// latin1 is the same, and as complete: all 256 bytes have a character.
func latinBytes(s string) (string, bool) {
	var b strings.Builder
	for _, r := range s {
		c, ok := charmap.Windows1252.EncodeRune(r)
		switch {
		case !ok && r >= 0x80 && r < 0xA0: // of these five the encoding says nothing, and MySQL itself
			c = byte(r)
		case !ok:
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// newCharset is for a column of which the database believes that it is Latin-1, or
// nothing at all, while the bytes are of another encoding.
func newCharset(name string, _ Secret) (func(string) (string, error), error) {
	e, err := Charset(name)
	if err != nil {
		return nil, err
	}
	return func(s string) (string, error) {
		if isASCII(s) {
			return s, nil
		}
		b := s
		if utf8.ValidString(s) {
			var ok bool
			if b, ok = latinBytes(s); !ok {
				return s, nil // it has characters of its own already
			}
		}
		out, err := e.NewDecoder().String(b)
		if err != nil || strings.ContainsRune(out, utf8.RuneError) {
			return "", errors.New("bytes that are not of this encoding")
		}
		return out, nil
	}, nil
}

// Charset returns an encoding by one of its names on the web: "gbk", "big5",
// "windows-1251".
func Charset(name string) (encoding.Encoding, error) {
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("there is no encoding %q; some are gbk, big5, shift_jis, windows-1251, windows-1252", name)
	}
	return e, nil
}
