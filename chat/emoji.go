package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	joiner      = 0x200D // ZERO WIDTH JOINER
	textStyle   = 0xFE0E // VARIATION SELECTOR-15
	emojiStyle  = 0xFE0F // VARIATION SELECTOR-16
	enclosing   = 0x20E3 // COMBINING ENCLOSING KEYCAP
	firstTag    = 0xE0020
	lastTag     = 0xE007E
	cancelTag   = 0xE007F
	firstLetter = 0x1F1E6 // REGIONAL INDICATOR SYMBOL LETTER A
	lastLetter  = 0x1F1FF
	lightest    = 0x1F3FB // EMOJI MODIFIER FITZPATRICK TYPE-1-2
	darkest     = 0x1F3FF
)

// CanonicalEmoji returns the emoji that s is, in the one spelling under which
// reactions are stored: a variation selector stands behind the characters that
// need one to be an emoji, and nowhere else. So ❤ and ❤️ are one reaction. The
// error is for s as a reaction: it must be one emoji of Unicode (a picture with its
// modifiers, a flag, a keycap or a sequence of pictures with joiners), not a text.
func CanonicalEmoji(s string, l *Limits) (string, error) {
	if err := CheckReaction(s, l); err != nil {
		return "", err
	}
	p := emojiParser{rest: s}
	for {
		if !p.element() {
			return "", E(Invalid, "emoji is not one emoji")
		}
		if p.rest == "" {
			return p.out.String(), nil
		}
		if !p.take(joiner) {
			return "", E(Invalid, "emoji is not one emoji")
		}
	}
}

// CheckReaction returns the error for s as a reaction that may exist already, from
// before CanonicalEmoji was the rule; nil if it is good.
func CheckReaction(s string, l *Limits) error {
	switch {
	case s == "":
		return E(Invalid, "emoji is missing")
	case len(s) > l.EmojiBytes:
		return E(TooLarge, "emoji is longer than "+strconv.Itoa(l.EmojiBytes)+" bytes")
	case !utf8.ValidString(s):
		return E(Invalid, "emoji is not valid UTF-8")
	}
	return nil
}

// emojiParser reads an emoji sequence (UTS 51) and writes its canonical spelling.
type emojiParser struct {
	rest string
	out  strings.Builder
}

// element reads one element of a sequence.
func (p *emojiParser) element() bool {
	r := p.peek()
	switch {
	case r >= '0' && r <= '9' || r == '#' || r == '*':
		return p.keycap(r)
	case r >= firstLetter && r <= lastLetter:
		p.take(r)
		second := p.peek()
		return second >= firstLetter && second <= lastLetter && p.take(second)
	case r >= lightest && r <= darkest:
		return p.take(r)
	case unicode.Is(pictographs, r):
		p.picture(r)
		return p.tags()
	}
	return false
}

func (p *emojiParser) keycap(r rune) bool {
	p.take(r)
	p.skipStyle()
	if p.peek() != enclosing {
		return false
	}
	p.out.WriteRune(emojiStyle)
	return p.take(enclosing)
}

// picture reads a picture with its modifier.
func (p *emojiParser) picture(r rune) {
	p.take(r)
	p.skipStyle()
	if m := p.peek(); m >= lightest && m <= darkest {
		p.take(m)
		p.skipStyle()
	} else if unicode.Is(textByDefault, r) {
		p.out.WriteRune(emojiStyle)
	}
}

// tags reads the tags of a flag of a region, which end with cancelTag.
func (p *emojiParser) tags() bool {
	r := p.peek()
	if r < firstTag || r > lastTag {
		return true
	}
	for ; r >= firstTag && r <= lastTag; r = p.peek() {
		p.take(r)
	}
	return p.take(cancelTag)
}

// peek is the next character, 0 at the end.
func (p *emojiParser) peek() rune {
	if p.rest == "" {
		return 0
	}
	r, _ := utf8.DecodeRuneInString(p.rest)
	return r
}

// take reads and writes r, if it is the next character.
func (p *emojiParser) take(r rune) bool {
	if p.rest == "" || p.peek() != r {
		return false
	}
	p.rest = p.rest[utf8.RuneLen(r):]
	p.out.WriteRune(r)
	return true
}

// skipStyle reads the variation selectors that come next.
func (p *emojiParser) skipStyle() {
	for r := p.peek(); r == emojiStyle || r == textStyle; r = p.peek() {
		p.rest = p.rest[utf8.RuneLen(r):]
	}
}
