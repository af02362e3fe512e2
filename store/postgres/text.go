package postgres

import (
	"strings"

	"github.com/roomtide/roomtide/store/sqldb"
)

// PostgreSQL keeps every character in a text but NUL. Texts are not made with one any
// more, but those of before may come from another database, and come back as they were:
// NUL is kept as mark and '0', and the mark, which is no character of any language, as
// two of them. Every other text is kept as it is, and order and equality stay what they
// are.
const mark = "\uFDD0"

var (
	escapes   = strings.NewReplacer(mark, mark+mark, "\x00", mark+"0")
	unescapes = strings.NewReplacer(mark+mark, mark, mark+"0", "\x00")
)

// escape makes the stored form of a text.
func escape(s string) string {
	if strings.IndexByte(s, 0) < 0 && !strings.Contains(s, mark) {
		return s
	}
	return escapes.Replace(s)
}

// escapeAll makes the stored form of the texts among arguments.
func escapeAll(args []any) []any {
	for i, a := range args {
		s, ok := a.(string)
		if !ok {
			continue
		}
		if e := escape(s); e != s {
			args = append([]any(nil), args...) // they are the caller's
			args[i] = e
			return append(args[:i+1], escapeAll(args[i+1:])...)
		}
	}
	return args
}

// unescaped is a row whose texts are as they were before escape.
type unescaped struct{ row sqldb.Scanner }

func (u unescaped) Scan(dest ...any) error {
	if err := u.row.Scan(dest...); err != nil {
		return err
	}
	for _, d := range dest {
		if s, ok := d.(*string); ok && strings.Contains(*s, mark) {
			*s = unescapes.Replace(*s)
		}
	}
	return nil
}
