package follow

import "strings"

// verdict is what a statement in a binary log means for followed tables.
type verdict int

const (
	other            verdict = iota // concerns no followed table
	begins                          // a transaction
	ends                            // a transaction
	changesRows                     // of a followed table, without naming their keys
	emptiesTable                    // a followed one
	changesStructure                // of a followed table
	endsPrepared                    // a transaction whose rows were logged before they could be seen
)

// judge reads the verbs and names of a statement. followed tells whether a name, in
// small letters, perhaps qualified, is one of a followed table. A table that is named
// only to be read counts as well: it is better to compare once too often.
func judge(query string, followed func(name string) bool) verdict {
	words := tokens(query, 400)
	if len(words) == 0 {
		return other
	}
	touches := false
	for i, w := range words {
		touches = touches || followed(w) || i+2 < len(words) && words[i+1] == "." && followed(w+"."+words[i+2])
	}
	switch words[0] {
	case "begin", "start":
		return begins
	case "commit":
		return ends
	case "rollback":
		if len(words) == 1 { // and not TO a savepoint
			return ends
		}
	case "xa":
		return xa(words)
	case "insert", "update", "delete", "replace", "load", "with":
		if touches {
			return changesRows
		}
	case "truncate":
		if touches {
			return emptiesTable
		}
	case "alter", "drop", "rename", "create":
		if touches && structural(words) {
			return changesStructure
		}
	}
	return other
}

// xa judges a statement of a transaction that is prepared first.
func xa(words []string) verdict {
	if len(words) > 1 {
		switch words[1] {
		case "start", "begin":
			return begins
		case "commit":
			return endsPrepared
		}
	}
	return other
}

// structural reports whether a definition is one of a table, and not of an index, a
// trigger or a table that only is like a followed one.
func structural(words []string) bool {
	for _, w := range words[1:] {
		switch w {
		case "or", "replace", "if", "not", "exists", "online", "ignore", "temporary":
			continue
		case "table", "tables":
			return words[0] != "create" || words[1] == "or"
		}
		return false
	}
	return false
}

// tokens are the first words, names and signs of a statement, in small letters, without
// comments and without literals.
func tokens(query string, most int) (list []string) {
	for len(query) > 0 && len(list) < most {
		switch c := query[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			query = query[1:]
		case strings.HasPrefix(query, "/*!"): // a comment that is executed: !, perhaps a version, a statement
			query = strings.TrimLeft(query[3:], "0123456789")
		case strings.HasPrefix(query, "/*M!"):
			query = strings.TrimLeft(query[4:], "0123456789")
		case strings.HasPrefix(query, "/*"):
			_, query, _ = strings.Cut(query[2:], "*/")
		case c == '#' || strings.HasPrefix(query, "-- "):
			_, query, _ = strings.Cut(query, "\n")
		case c == '\'' || c == '"':
			query = query[quoted(query):]
		case c == '`':
			n := quoted(query)
			list = append(list, strings.ToLower(strings.ReplaceAll(strings.Trim(query[:n], "`"), "``", "`")))
			query = query[n:]
		case wordByte(c):
			n := 1
			for n < len(query) && wordByte(query[n]) {
				n++
			}
			list = append(list, strings.ToLower(query[:n]))
			query = query[n:]
		default:
			if c == '.' {
				list = append(list, ".")
			}
			query = query[1:]
		}
	}
	return list
}

// quoted is the length of the literal or name with which the text begins.
func quoted(text string) int {
	mark := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && mark != '`':
			i++
		case text[i] == mark && i+1 < len(text) && text[i+1] == mark:
			i++
		case text[i] == mark:
			return i + 1
		}
	}
	return len(text)
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
