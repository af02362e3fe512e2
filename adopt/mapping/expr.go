package mapping

import (
	"regexp"
	"strings"
	"unicode"
)

// DM returns the id of the room of two users, in either order: "dm-" and both ids, the
// smaller one first. If both are whole numbers they are compared by value, otherwise
// byte by byte. Code that computes such ids elsewhere, as in PHP, has to do the same. The
// result is empty if an id is.
func DM(a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	less := a < b
	if digits(a) && digits(b) {
		x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		less = len(x) < len(y) || len(x) == len(y) && (x < y || x == y && a < b)
	}
	if !less {
		a, b = b, a
	}
	return "dm-" + a + "-" + b
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// The marks in which SQL hands the arguments of dm() on: databases differ in how they
// order text, so that the name is made of the values.
const markBegin, markBetween, markEnd = "\x01", "\x02", "\x03"

// Expand makes SQL of an expression: dm(a, b) becomes a text with marks, of which
// Names makes the name of the room.
func Expand(expr string) string {
	at := dmCall(expr)
	if at < 0 {
		return expr
	}
	args, end := arguments(expr, at+len("dm("))
	if len(args) != 2 {
		return expr // the database says that there is no such function
	}
	return expr[:at] + "CONCAT('" + markBegin + "', " + Expand(args[0]) + ", '" + markBetween + "', " + Expand(args[1]) + ", '" + markEnd + "')" +
		Expand(expr[end:])
}

// Names puts names of rooms where Expand has left marks.
func Names(value string) string {
	before, rest, ok := strings.Cut(value, markBegin)
	if !ok {
		return value
	}
	pair, after, ok := strings.Cut(rest, markEnd)
	if !ok {
		return value
	}
	a, b, _ := strings.Cut(pair, markBetween)
	name := DM(a, b)
	if name == "" {
		return ""
	}
	return before + name + Names(after)
}

// dmCall finds dm( that is neither in quotes nor the end of another name.
func dmCall(expr string) int {
	for i := 0; i < len(expr); {
		if n := quotedLen(expr[i:]); n > 0 {
			i += n
			continue
		}
		if strings.HasPrefix(expr[i:], "dm(") && (i == 0 || !inName(rune(expr[i-1]))) {
			return i
		}
		i++
	}
	return -1
}

func inName(r rune) bool { return r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quotedLen is the length of the quoted text that s begins with, 0 if it does not.
func quotedLen(s string) int {
	if s == "" || !strings.ContainsRune("'\"`", rune(s[0])) {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}

// arguments splits what stands between at and the bracket that closes it, and returns
// where that ends.
func arguments(expr string, at int) (args []string, end int) {
	depth, from := 0, at
	for i := at; i < len(expr); {
		if n := quotedLen(expr[i:]); n > 0 {
			i += n
			continue
		}
		switch c := expr[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ')':
			return append(args, strings.TrimSpace(expr[from:i])), i + 1
		case c == ',' && depth == 0:
			args = append(args, strings.TrimSpace(expr[from:i]))
			from = i + 1
		}
		i++
	}
	return nil, len(expr)
}

var columnName = regexp.MustCompile("^(?:[\\w]+\\.)?(?:`([^`]+)`|\"([^\"]+)\"|([\\pL_][\\pL\\pN_$]*))$")

// Plain returns the column that an expression is, if it is nothing more: what can be
// written as well as read.
func Plain(expr string) (column string, ok bool) {
	m := columnName.FindStringSubmatch(strings.TrimSpace(expr))
	if m == nil {
		return "", false
	}
	column = m[1] + m[2] + m[3]
	switch strings.ToUpper(column) {
	case "NULL", "TRUE", "FALSE":
		return "", false
	}
	return column, true
}

// Pair returns the two columns of an expression that is dm(a, b) and nothing more.
func Pair(expr string) (a, b string, ok bool) {
	expr = strings.TrimSpace(expr)
	if dmCall(expr) != 0 {
		return "", "", false
	}
	args, end := arguments(expr, len("dm("))
	if len(args) != 2 || end != len(expr) {
		return "", "", false
	}
	a, okA := Plain(args[0])
	b, okB := Plain(args[1])
	return a, b, okA && okB
}

// Table returns the table of From, "" for a subselect.
func (f *From) Table() string {
	words := strings.Fields(f.From)
	if len(words) == 0 || strings.HasPrefix(words[0], "(") {
		return ""
	}
	return unquote(words[0])
}

// Aliased reports whether the table of From has another name in expressions.
func (f *From) Aliased() bool { return len(strings.Fields(f.From)) > 1 }

// Qualifier is what stands before the columns of From, as it is written there.
func (f *From) Qualifier() string {
	words := strings.Fields(f.From)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// Column returns the column of the table of From that an expression is, if it is nothing
// more. Beside a join a column without its table may be that of another one.
func (f *From) Column(expr string) (column string, ok bool) {
	column, ok = Plain(expr)
	table, _, named := strings.Cut(strings.TrimSpace(expr), ".")
	return column, ok && (named && table == unquote(f.Qualifier()) || !named && f.Join == "")
}

func unquote(s string) string { return strings.Trim(s, "`\"") }

// Glob reports whether From stands for several tables.
func (f *From) Glob() bool {
	return strings.ContainsAny(f.Table(), "?*")
}
