package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

func TestMentioned(t *testing.T) {
	for text, want := range map[string][]chat.UserID{
		"no one":                       nil,
		"@":                            nil,
		"@@ann":                        {"ann"},
		"@ann":                         {"ann"},
		"hi @ann, and @bob.":           {"ann", "bob"},
		"(@ann)@bob":                   {"ann", "bob"},
		"ann@example.org":              nil,
		"see a.b@c and x@y @z":         {"z"},
		"@ann @bob @ann":               {"ann", "bob"},
		"@user-1: @a.b:c.":             {"user-1", "a.b:c"},
		"你好 @小明 @élise":                {"小明", "élise"},
		"@... @-":                      nil,
		strings.Repeat("@", 100) + "a": {"a"},
	} {
		if got := (&chat.Draft{Text: text}).Mentioned(); !slices.Equal(got, want) {
			t.Errorf("%q mentions %q, want %q", text, got, want)
		}
	}
	d := chat.Draft{Text: "@bob @cid", Mentions: []chat.UserID{"a user", "bob"}}
	if got := d.Mentioned(); !slices.Equal(got, []chat.UserID{"a user", "bob", "cid"}) {
		t.Errorf("%q", got)
	}
	var many strings.Builder
	for i := range 60 {
		fmt.Fprintf(&many, "@u%d ", i)
		d.Mentions = append(d.Mentions, chat.UserID(fmt.Sprint("m", i)))
	}
	if got := (&chat.Draft{Text: many.String()}).Mentioned(); len(got) != chat.MaxMentions || got[49] != "u49" {
		t.Errorf("%d mentions: %q", len(got), got)
	}
	l := chat.DefaultLimits()
	if err := d.Check(&l); chat.KindOf(err) != chat.TooLarge {
		t.Errorf("too many: %v", err)
	}
	d.Mentions = []chat.UserID{"a\nb"}
	if err := d.Check(&l); chat.KindOf(err) != chat.Invalid {
		t.Errorf("no id: %v", err)
	}
}

func TestDigestWithoutMentionsIsAsItWas(t *testing.T) {
	plain := chat.Draft{Text: "x"}
	if plain.Digest() == (&chat.Draft{Text: "x", Mentions: []chat.UserID{"ann"}}).Digest() {
		t.Error("mentions do not count")
	}
}
