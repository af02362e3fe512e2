package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// There are three rules for text, the same on every transport.
//
//   - Text of a message (CheckText): any lines, no NUL.
//   - Plain text, for everything that stands within a line: names, titles, keys
//     (checkPlain). No control characters, no line separators, and none of the
//     bidirectional controls that reorder the text around them.
//   - Ids of rooms and users (CheckID): plain text without characters that make
//     two ids look like one: no format characters, no white space at the ends, in
//     Unicode normalization form C, and something to see.
//
// Rows that were stored under older rules stay readable: a room is found under any
// id that CheckRef accepts, and only made under one that CheckID accepts.

// CheckID returns the error for s as the id of a user who comes in, or of a room or
// member that is made; nil if it is good. what is the word for the text of the
// error: "room" or "user".
func CheckID(what, s string, maxBytes int) error {
	if err := CheckRef(what, s, maxBytes); err != nil {
		return err
	}
	if plainASCII(s) && s[0] != ' ' && s[len(s)-1] != ' ' && s != "." && s != ".." {
		return nil
	}
	why := ""
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	switch {
	case s == "." || s == "..":
		why = " id is a path, and cannot stand in an address"
	case strings.IndexFunc(s, reorders) >= 0 || strings.IndexFunc(s, isFormat) >= 0:
		why = " id has an invisible character"
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		why = " id begins or ends with white space"
	case strings.IndexFunc(s, breaksLine) >= 0:
		why = " id has a line break"
	case !visible(s):
		why = " id has nothing to see"
	case !norm.NFC.IsNormalString(s):
		why = " id is not in Unicode normalization form C"
	default:
		return nil
	}
	return E(Invalid, what+why)
}

// CheckRef returns the error for s as the id of a room or user that may exist
// already, nil if it is good: 1 to maxBytes bytes of UTF-8 without control
// characters. what is as in CheckID.
func CheckRef(what, s string, maxBytes int) error {
	switch {
	case s == "":
		return E(Invalid, what+" is missing")
	case len(s) > maxBytes:
		return E(TooLarge, what+" id is too long")
	case !utf8.ValidString(s):
		return E(Invalid, what+" id is not valid UTF-8")
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return E(Invalid, what+" id has a control character")
	}
	return nil
}

// CheckName returns the error for s as a display name or a title, nil if it is
// good; the empty name is. what is the word for the text of the error: "name" or
// "title".
func CheckName(what, s string, maxBytes int) error {
	if len(s) > maxBytes {
		return E(TooLarge, what+" is longer than "+strconv.Itoa(maxBytes)+" bytes")
	}
	if err := checkPlain(what, s); err != nil {
		return err
	}
	if s != "" && !visible(s) {
		return E(Invalid, what+" has nothing to see")
	}
	return nil
}

// CheckKey returns the error for an idempotency key, nil if it is good; the empty
// key, which is none, is.
func CheckKey(s string, l *Limits) error {
	if len(s) > l.KeyBytes {
		return E(TooLarge, "key is longer than "+strconv.Itoa(l.KeyBytes)+" bytes")
	}
	return checkPlain("key", s)
}

// CheckText returns the error for the text of a message, nil if it is good.
func CheckText(s string, l *Limits) error {
	switch {
	case len(s) > l.MessageBytes:
		return E(TooLarge, "message is larger than "+strconv.Itoa(l.MessageBytes)+" bytes")
	case !utf8.ValidString(s):
		return E(Invalid, "message is not valid UTF-8")
	case strings.IndexByte(s, 0) >= 0: // not every database can keep it
		return E(Invalid, "message has a NUL character")
	case len(s) > l.MessageRunes && utf8.RuneCountInString(s) > l.MessageRunes:
		return E(TooLarge, "message is longer than "+strconv.Itoa(l.MessageRunes)+" characters")
	}
	return nil
}

// checkPlain is the rule for text within a line.
func checkPlain(what, s string) error {
	switch {
	case plainASCII(s):
		return nil
	case !utf8.ValidString(s):
		return E(Invalid, what+" is not valid UTF-8")
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return E(Invalid, what+" has a control character")
	case strings.IndexFunc(s, breaksLine) >= 0:
		return E(Invalid, what+" has a line break")
	case strings.IndexFunc(s, reorders) >= 0:
		return E(Invalid, what+" has a character that turns the direction of text around it")
	}
	return nil
}

// plainASCII reports whether s is printable ASCII, which most ids and keys are.
func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// reorders reports whether r is a bidirectional embedding, override or isolate.
func reorders(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

func isFormat(r rune) bool { return unicode.Is(unicode.Cf, r) }

// breaksLine reports whether r is one of the separators of lines and paragraphs,
// which are no control characters.
func breaksLine(r rune) bool { return r == 0x2028 || r == 0x2029 }

// visible reports whether s has a character with ink.
func visible(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !blank(r) }) >= 0
}

// blank reports whether r leaves no ink: white space, controls, format characters,
// and the letters and marks that are blank by their definition.
func blank(r rune) bool {
	switch r {
	case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0:
		return true
	}
	return unicode.IsSpace(r) || unicode.IsControl(r) || isFormat(r) || unicode.Is(unicode.Variation_Selector, r)
}
