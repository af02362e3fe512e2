package decode

import (
	"html"
	"regexp"
	"strings"
)

// slashes takes back addslashes, and nothing else that a backslash may mean: \' \" \\.
func slashes(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`).Replace(s)
}

// entity is one that htmlentities, or a person, wrote: with its semicolon. Without,
// "?a=1&copy=2" would lose its parameter.
var entity = regexp.MustCompile(`&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});`)

// Entities takes back htmlentities or htmlspecialchars, once: a user who typed &amp;
// gets it back.
func Entities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	return entity.ReplaceAllStringFunc(s, func(e string) string {
		if text := html.UnescapeString(e); text != "\x00" {
			return text
		}
		return e
	})
}
