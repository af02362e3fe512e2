package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// User is what is known of a user in all rooms. There is none of a user of whom
// nothing was ever said.
type User struct {
	ID     UserID
	Name   string // display name; empty means the user id
	Avatar string // address of a picture; may be empty
	Data   string // opaque JSON of the application, empty if none

	// Named is when the host said Name and Avatar (Unix milliseconds). A token that
	// was issued earlier does not take them back.
	Named int64
}

// CheckAvatar returns the error for s as the address of a picture, nil if it is
// good; the empty one is. An address is https with a host, or a path of the site
// that shows it. A path that browsers take for another host is neither.
func CheckAvatar(s string, l *Limits) error {
	bad := E(Invalid, "avatar must be an https address or a path that starts with one slash")
	switch {
	case s == "":
		return nil
	case len(s) > l.AvatarBytes:
		return E(TooLarge, "avatar is longer than "+strconv.Itoa(l.AvatarBytes)+" bytes")
	case !utf8.ValidString(s), strings.ContainsAny(s, "\\\"'<>`"), strings.IndexFunc(s, notPrinted) >= 0,
		strings.HasPrefix(s, "//"):
		return bad
	case s[0] == '/':
		return nil
	}
	rest, ok := strings.CutPrefix(s, "https://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if !ok || host == "" || host[0] == ':' || strings.ContainsAny(host, "@%") {
		return bad
	}
	return nil
}

func notPrinted(r rune) bool { return unicode.In(r, unicode.C, unicode.Z) }

// About returns data that a client gives about a user, a room or a member, as it is
// kept: nil is not given, and an empty object, list or string is none.
func About(data []byte) *string {
	if data == nil {
		return nil
	}
	s := string(data)
	if s == `{}` || s == `[]` || s == `""` {
		s = ""
	}
	return &s
}

// CheckAbout returns the error for data that is kept about a user, a room or a
// member, nil if it is good.
func CheckAbout(data string, l *Limits) error {
	if len(data) > l.AboutBytes {
		return E(TooLarge, "data is larger than "+strconv.Itoa(l.AboutBytes)+" bytes")
	}
	return nil
}
