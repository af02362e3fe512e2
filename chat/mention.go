package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxMentions is how many users a message mentions: those beyond are not noted.
const MaxMentions = 50

// Mentioned are the users that a draft may mention, up to MaxMentions, each once: those
// that it names, and then those whose id follows an @ in its text. Whether they are members
// is for others to say.
func (d *Draft) Mentioned() []UserID {
	if len(d.Mentions) == 0 && strings.IndexByte(d.Text, '@') < 0 {
		return nil
	}
	var ids []UserID
	add := func(id UserID) {
		if len(ids) < MaxMentions && id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range d.Mentions {
		add(id)
	}
	before, rest := rune(' '), d.Text
	for {
		at := strings.IndexByte(rest, '@')
		if at < 0 || len(ids) == MaxMentions {
			return ids
		}
		if at > 0 {
			before, _ = utf8.DecodeLastRuneInString(rest[:at])
		}
		rest = rest[at+1:]
		end := strings.IndexFunc(rest, func(r rune) bool { return !inMention(r) && !strings.ContainsRune(".:-", r) })
		if end < 0 {
			end = len(rest)
		}
		if !inMention(before) { // not the address of a mailbox
			add(UserID(strings.TrimRight(rest[:end], ".:-")))
		}
		before, rest = '@', rest[end:]
		if end > 0 {
			before = 'x'
		}
	}
}

func inMention(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// checkMentions returns the error for the users that a draft names, nil if they are good.
func checkMentions(ids []UserID, l *Limits) error {
	if len(ids) > MaxMentions {
		return E(TooLarge, "a message mentions 50 users at most")
	}
	for _, id := range ids {
		if err := CheckID("mentions", string(id), l.IDBytes); err != nil {
			return err
		}
	}
	return nil
}
