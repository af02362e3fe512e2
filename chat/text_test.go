package chat

import (
	"strings"
	"testing"
)

// check fails unless err is of the kind; 0 is no error.
func check(t *testing.T, what string, err error, want Kind) {
	t.Helper()
	if (err == nil) != (want == 0) || err != nil && KindOf(err) != want {
		t.Errorf("%s: %v", what, err)
	}
}

// No two ids look like one, and every id can stand in an address and in any database.
func TestIDsThatLookLikeOthers(t *testing.T) {
	for id, want := range map[string]Kind{
		"ann": 0, "Ann Smith": 0, "a.b": 0, "...": 0, "会议室": 0, "é": 0, "नमस्ते": 0, "👍": 0, "a/b?c#d %": 0,
		" ann": Invalid, "ann ": Invalid, "ann\u00a0": Invalid, "\u3000ann": Invalid, " ": Invalid,
		"a\u200bnn": Invalid, "\ufeffann": Invalid, "a\u200dnn": Invalid, "ann\u200e": Invalid, "ann\u00ad": Invalid,
		"\u200b": Invalid, "\u3164": Invalid, "\u2800\u2800": Invalid, "\ufe0f": Invalid, "\u115f": Invalid,
		"bob\u202e": Invalid, "\u2066bob": Invalid, "a\u2028b": Invalid, "a\u0085": Invalid, "a\x7f": Invalid, "a\x00": Invalid,
		".": Invalid, "..": Invalid, "e\u0301": Invalid, "\u212b": Invalid,
	} {
		check(t, "id "+id, CheckID("user", id, 128), want)
	}
	// What is there is found, under any id of before.
	for _, id := range []string{" ann", "a\u200bnn", ".", "e\u0301", "\u202e"} {
		check(t, "ref "+id, CheckRef("room", id, 128), 0)
	}
	check(t, "ref with a control character", CheckRef("room", "a\n", 128), Invalid)
	check(t, "ref that is too long", CheckRef("room", strings.Repeat("x", 129), 128), TooLarge)
}

// One rule for everything that stands within a line.
func TestPlainText(t *testing.T) {
	l := DefaultLimits()
	for s, want := range map[string]Kind{
		"Ann Ó": 0, "کتاب\u200cها": 0, "👩\u200d👧": 0, " Ann ": 0, "אבג\u200f": 0,
		"a\x00": Invalid, "a\nb": Invalid, "a\x1b[31m": Invalid, "a\u0085": Invalid, "a\u2028": Invalid, "a\u2029": Invalid, "\xff": Invalid,
		"\u202abob": Invalid, "\u202b": Invalid, "\u202c": Invalid, "\u202d": Invalid, "bob\u202e": Invalid,
		"\u2066": Invalid, "\u2067": Invalid, "\u2068": Invalid, "\u2069": Invalid,
	} {
		check(t, "name "+s, CheckName("name", s, 256), want)
		check(t, "title "+s, CheckName("title", s, 256), want)
		check(t, "key "+s, CheckKey(s, &l), want)
	}
	check(t, "a name of white space", CheckName("name", " \t", 256), Invalid)
	check(t, "a name with nothing to see", CheckName("name", "\u200b\u3164", 256), Invalid)
	check(t, "no name", CheckName("name", "", 256), 0)
	check(t, "no key", CheckKey("", &l), 0)
}

// A message has something to see, or data.
func TestMessagesOfNothing(t *testing.T) {
	l := DefaultLimits()
	for _, s := range []string{"", " ", "\n\n\t", "\u00a0\u3000", "\u200b", "\ufeff", "\u2800", "\u3164", "\u202e"} {
		d := Draft{Text: s}
		check(t, "message "+s, d.Check(&l), Invalid)
		d.Data = []byte("{}")
		check(t, "with data "+s, d.Check(&l), 0)
	}
	for _, s := range []string{".", " x ", "\n\ta\n", "\u202eabc\u202c", "👍", "\u0301"} {
		check(t, "message "+s, (&Draft{Text: s}).Check(&l), 0)
	}
}

func TestCanonicalEmoji(t *testing.T) {
	l := DefaultLimits()
	for s, want := range map[string]string{
		"👍": "👍", "👍\ufe0f": "👍", "❤": "❤\ufe0f", "❤\ufe0f": "❤\ufe0f", "❤\ufe0e": "❤\ufe0f", "👍🏽": "👍🏽", "☝🏽": "☝🏽", "☝\ufe0f🏽": "☝🏽",
		"🇩🇪": "🇩🇪", "1\u20e3": "1\ufe0f\u20e3", "#\ufe0f\u20e3": "#\ufe0f\u20e3", "👩\u200d🚀": "👩\u200d🚀",
		"❤\u200d🔥": "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈": "🏳\ufe0f\u200d🌈", "👩\u200d❤\u200d👩": "👩\u200d❤\ufe0f\u200d👩",
		"🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F": "🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F",
		"☺": "☺\ufe0f", "©": "©\ufe0f", "\U0001FAE8": "\U0001FAE8", "🏽": "🏽",
	} {
		got, err := CanonicalEmoji(s, &l)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", s, got, err, want)
		}
		if again, err := CanonicalEmoji(got, &l); err != nil || again != got {
			t.Errorf("%q becomes %q: %v", got, again, err)
		}
	}
	for _, s := range []string{"a", "lol", "+1", ":+1:", "1", "42", "#", "\n", " ", "👍 ", " 👍", "👍👍", "👍a", "not an emoji", "\u200d", "👍\u200d", "\ufe0f", "🇩", "🇩a",
		"\u202e👍", "👍\x00", "1\ufe0f", "中", "\u2800", "🏴\U000E0067", "†"} {
		if got, err := CanonicalEmoji(s, &l); KindOf(err) != Invalid || err == nil {
			t.Errorf("%q is the emoji %q: %v", s, got, err)
		}
		check(t, "taken away "+s, CheckReaction(s, &l), 0)
	}
	for s, want := range map[string]Kind{"": Invalid, "\xff": Invalid, strings.Repeat("👍", 17): TooLarge} {
		_, err := CanonicalEmoji(s, &l)
		check(t, "emoji "+s, err, want)
		check(t, "reaction "+s, CheckReaction(s, &l), want)
	}
}

func FuzzCanonicalEmoji(f *testing.F) {
	for _, s := range []string{"👍", "❤\ufe0f", "1\u20e3", "🇩🇪", "👩\u200d🚀", "a", "\u200d"} {
		f.Add(s)
	}
	l := DefaultLimits()
	f.Fuzz(func(t *testing.T, s string) {
		got, err := CanonicalEmoji(s, &l)
		if err != nil {
			return
		}
		if again, err := CanonicalEmoji(got, &Limits{EmojiBytes: 1 << 20}); err != nil || again != got {
			t.Errorf("%q becomes %q becomes %q: %v", s, got, again, err)
		}
	})
}
