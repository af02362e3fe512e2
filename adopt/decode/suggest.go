package decode

import (
	"regexp"
	"strings"
)

// Hint is a decoder that a text looks made for.
type Hint string

var (
	looksBB   = regexp.MustCompile(`(?i)\[(b|i|u|url|img|quote|code|color|size)(=[^\]]*)?\].*\[/(b|i|u|url|img|quote|code|color|size)\]`)
	looksHTML = regexp.MustCompile(`(?i)</?(p|br|div|span|a|b|i|strong|em|img|ul|li|blockquote)(\s[^>]*)?/?>`)
	looksPHP  = regexp.MustCompile(`^(a:\d+:\{|O:\d+:"|s:\d+:").*[;}]$`)
	looksXML  = regexp.MustCompile(`(?s)^<[tr]>.*</[tr]>$`)
	slashed   = regexp.MustCompile(`\\['"]`)
)

// suggestBytes is how much of a text is looked at.
const suggestBytes = 4 << 10

// Suggest returns the decoder that a text looks made for, "" for plain text. It is for
// saying so to a person: no text is decoded because of it.
func Suggest(s string) Hint {
	if len(s) > suggestBytes {
		s = strings.ToValidUTF8(s[:suggestBytes], "")
	}
	switch {
	case looksXML.MatchString(s):
		return "phpbb_xml"
	case looksPHP.MatchString(s):
		return "phpser"
	case repairUTF8(s) != s:
		return "repair_utf8"
	case slashed.MatchString(s):
		return "slashes"
	case looksHTML.MatchString(s):
		return "html"
	case looksBB.MatchString(s):
		return "bbcode"
	case strings.Contains(s, "&") && Entities(s) != s:
		return "entities"
	}
	return ""
}
