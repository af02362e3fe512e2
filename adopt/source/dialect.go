package source

import (
	"fmt"
	"strconv"
	"strings"
)

// Engine is a kind of database.
type Engine string

const (
	MySQL    Engine = "mysql" // and MariaDB
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// keyKind is how a primary key is compared and written.
type keyKind uint8

const (
	keyInteger keyKind = iota
	keyText
	keyBinary
)

// Quote makes an identifier of a name.
func (e Engine) Quote(name string) string {
	if e == MySQL {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuotePath makes an identifier of a name that may be qualified: each part by itself.
func (e Engine) QuotePath(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = e.Quote(p)
	}
	return strings.Join(parts, ".")
}

// Bind replaces question marks by the parameters of the engine. Texts hold no other
// question marks.
func (e Engine) Bind(text string) string {
	if e != Postgres {
		return text
	}
	var b strings.Builder
	n := 0
	for _, r := range text {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// text makes an expression whose value arrives as text, as the database writes it.
func (e Engine) text(expr string) string {
	if e == MySQL {
		return expr // values arrive as text, and a cast would change their encoding
	}
	return "CAST((" + expr + ") AS TEXT)"
}

// head makes an expression of at most n characters of a text.
func (e Engine) head(expr string, n int) string {
	if e == SQLite {
		return "substr(" + e.text(expr) + ", 1, " + strconv.Itoa(n) + ")"
	}
	return "LEFT(" + e.text(expr) + ", " + strconv.Itoa(n) + ")"
}

// keyText makes the text of a key.
func (e Engine) keyText(column string, k keyKind) string {
	switch {
	case k == keyBinary && e == Postgres:
		return "encode(" + column + ", 'hex')"
	case k == keyBinary:
		return "LOWER(HEX(" + column + "))"
	}
	return e.text(column)
}

// keyParam makes the placeholder number i (from 1) for a key, as it is compared with
// a column of a type.
func (e Engine) keyParam(i int, k keyKind, typ string) string {
	switch {
	case e == Postgres && k == keyBinary:
		return fmt.Sprintf("decode($%d::text, 'hex')", i)
	case e == Postgres:
		return fmt.Sprintf("$%d::text::%s", i, typ)
	case k == keyBinary:
		return "UNHEX(?)"
	}
	return "?"
}

// keyArgument is a key as an argument of keyParam: a number compares with an index of
// numbers.
func (e Engine) keyArgument(key Key, k keyKind) (any, error) {
	if k != keyInteger || e == Postgres {
		return string(key), nil
	}
	if n, err := strconv.ParseInt(string(key), 10, 64); err == nil {
		return n, nil
	}
	n, err := strconv.ParseUint(string(key), 10, 64)
	if err != nil {
		return nil, invalid("%q is no key of the messages, which are whole numbers", string(key))
	}
	return n, nil
}
