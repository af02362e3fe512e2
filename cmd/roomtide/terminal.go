package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
)

// terminal reports whether w shows colors, and for how many columns to write.
func terminal(w io.Writer, env []string) (color bool, columns int) {
	const usual, most = 100, 120
	f, ok := w.(*os.File)
	if !ok {
		return false, usual
	}
	columns, ok = terminalWidth(f)
	if !ok {
		return false, usual
	}
	if columns == 0 { // it does not say
		columns = usual
	}
	refused := slices.ContainsFunc(env, func(kv string) bool {
		return kv == "TERM=dumb" || strings.HasPrefix(kv, "NO_COLOR=") && kv != "NO_COLOR="
	})
	return !refused, min(columns, most)
}

// plain is a text for one line, or one cell, of a terminal: control characters, which could move the
// cursor or change the colours, are taken out.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}
