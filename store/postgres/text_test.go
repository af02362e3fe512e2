package postgres

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is stored has no NUL, comes back as it went, and is in the same order where
// there is none.
func TestEscape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("\x00\uFDD0\uFDCF\uFDD10a日👩")))
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if e := escape(a); strings.Contains(e, "\x00") || unescapes.Replace(e) != a {
			t.Fatalf("%q is kept as %q and comes back as %q", a, e, unescapes.Replace(e))
		}
		if a != b && escape(a) == escape(b) {
			t.Fatalf("%q and %q are kept as one", a, b)
		}
		if !strings.Contains(a+b, "\x00") && strings.Compare(a, b) != strings.Compare(escape(a), escape(b)) {
			t.Fatalf("%q and %q change their order", a, b)
		}
		args := []any{int64(1), a, nil, b}
		before := slices.Clone(args)
		if got := escapeAll(args); got[1] != escape(a) || got[3] != escape(b) || got[0] != int64(1) || !slices.Equal(args, before) {
			t.Fatalf("%q became %q, and the caller's %q", before, got, args)
		}
	})
}
