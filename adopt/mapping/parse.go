package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/chat"
)

// Parse reads a mapping. name is that of the file, for errors, which are of kind
// Invalid and name the line. What it means is not checked; that is Check.
func Parse(name string, data []byte) (*Mapping, error) {
	m := &Mapping{}
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(m)
	var missing *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case err == nil:
		m.defaults()
		return m, nil
	case errors.As(err, &missing):
		var all []error
		for i := range missing.Errors {
			line, _ := missing.Errors[i].Position()
			all = append(all, invalid("%s:%d: there is no setting %s in a mapping", name, line, strings.Join(missing.Errors[i].Key(), ".")))
		}
		return nil, errors.Join(all...)
	case errors.As(err, &bad):
		line, _ := bad.Position()
		if arrayOfMessages.Match(data) {
			return nil, invalid("%s: a mapping has one [message], and a move one mapping: messages that are in several tables are read, and written back, "+
				"where one table or view has them all, or read where all tables share one numbering (message.from = \"messages_?\")", name)
		}
		return nil, invalid("%s:%d: %s", name, line, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return nil, invalid("%s: %s", name, strings.TrimPrefix(err.Error(), "toml: "))
}

var arrayOfMessages = regexp.MustCompile(`(?m)^\s*\[\[message\]\]`)

func invalid(format string, args ...any) error {
	return chat.E(chat.Invalid, fmt.Sprintf(format, args...))
}

func (m *Mapping) defaults() {
	if m.Message.Unit == "" {
		m.Message.Unit = "sql"
	}
	for i := range m.Reads {
		r := &m.Reads[i]
		if r.By == "" {
			r.By = "key"
		}
		if r.Unit == "" {
			r.Unit = "sql"
		}
	}
	if m.Source.TZ == "" {
		m.Source.TZ = "UTC"
	}
}

// Units are how times are written: SQL dates, or numbers since 1970.
var Units = []string{"sql", "s", "ms", "us", "1e-4", "none"}

// Actions are what can be done about a class of problem. The first is the default.
var Actions = map[string][]string{
	"too_long":     {"refuse", "cut", "keep"},
	"undecoded":    {"refuse", "keep"},
	"not_text":     {"refuse", "replace"},
	"no_user":      {"refuse", "system"},
	"no_time":      {"keep", "refuse"},
	"future":       {"keep", "refuse"},
	"data_too_big": {"refuse", "drop"},
}

// Action is what the mapping does about a class of problem.
func (m *Mapping) Action(class string) string {
	if a := m.Problems[class]; a != "" {
		return a
	}
	if a := Actions[class]; a != nil {
		return a[0]
	}
	return "refuse"
}

// Check looks for what is wrong with a mapping, without the tables. The error is of
// kind Invalid, or several of them, each in words that say where and what to do.
func (m *Mapping) Check(secret decode.Secret) error {
	var all []error
	add := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	add(m.checkSource())
	add(m.Message.check(secret))
	for _, s := range m.Sections()[1:] {
		add(s.check())
	}
	for i := range m.Reads {
		r := &m.Reads[i]
		if r.By != "key" && r.By != "time" {
			add(invalid(`read.by is "key" or "time", not %q`, r.By))
		}
		add(checkUnit("read.unit", r.Unit))
	}
	for _, class := range slices.Sorted(maps.Keys(m.Problems)) {
		switch known, action := Actions[class], m.Problems[class]; {
		case known == nil:
			add(invalid("problems.%s: nothing is to be decided about that; there are %s", class, strings.Join(slices.Sorted(maps.Keys(Actions)), ", ")))
		case !slices.Contains(known, action):
			add(invalid("problems.%s is one of %s, not %q", class, strings.Join(known, ", "), action))
		}
	}
	return errors.Join(all...)
}

func (m *Mapping) checkSource() error {
	if _, err := time.LoadLocation(m.Source.TZ); err != nil || m.Source.TZ == "Local" {
		return invalid(`source.tz: there is no time zone %q; it is a name such as "Europe/Berlin" or "Asia/Shanghai"`, m.Source.TZ)
	}
	if m.Source.Charset != "" {
		if _, err := decode.Charset(m.Source.Charset); err != nil {
			return invalid("source.charset: %v", err)
		}
	}
	if m.Source.DSN == "" {
		return invalid("source.dsn is missing: mysql://user@host/database, postgres://…, sqlite:/path, csv:/path, jsonl:/path or ndjson:/path")
	}
	return nil
}

func (m *Message) check(secret decode.Secret) error {
	s := m.Section()
	all := []error{s.check(), checkUnit("message.unit", m.Unit)}
	if m.Table() == "" && m.From.From != "" {
		all = append(all, invalid("message.from is a table, as its rows are found again by their key; join other tables in message.join"))
	}
	if m.Time == "" && m.Unit != "none" {
		all = append(all, invalid(`message.time is missing; a table without times has unit = "none"`))
	}
	if _, err := decode.New(m.Decode, secret); err != nil {
		all = append(all, invalid("message.decode: %v", err))
	}
	for _, name := range slices.Sorted(maps.Keys(m.DataDecode)) {
		if _, err := decode.New(m.DataDecode[name], secret); err != nil {
			all = append(all, invalid("message.data_decode.%s: %v", name, err))
		}
		if m.Data[name] == "" {
			all = append(all, invalid("message.data_decode.%s: there is no message.data.%s", name, name))
		}
	}
	return errors.Join(all...)
}

func checkUnit(where, unit string) error {
	if slices.Contains(Units, unit) {
		return nil
	}
	return invalid("%s is one of %s, not %q", where, strings.Join(Units, ", "), unit)
}

// required are the fields without which a section says nothing.
var required = map[string][]string{
	"message": {"room", "text"}, "room": {"id"}, "member": {"room", "user"}, "user": {"id", "name"}, "read": {"room", "user", "upto"},
}

func (s *Section) check() error {
	var all []error
	if s.From.From == "" {
		all = append(all, invalid("%s.from is missing: the table with the rows", s.Name))
	}
	for _, name := range required[s.Name] {
		if s.Field(name) == "" {
			all = append(all, invalid("%s.%s is missing", s.Name, name))
		}
	}
	if s.Name == "message" && s.Field("user") == "" {
		all = append(all, invalid("message.user is missing: the author"))
	}
	for _, f := range append(slices.Clone(s.Fields), Field{"from", s.From.From}, Field{"join", s.From.Join}, Field{"where", s.From.Where}) {
		if err := balanced(f.Expr); err != nil {
			all = append(all, invalid("%s.%s: %v", s.Name, f.Name, err))
		}
	}
	return errors.Join(all...)
}

// balanced finds what would run on into the next part of the statement.
func balanced(expr string) error {
	depth := 0
	for i := 0; i < len(expr); {
		if n := quotedLen(expr[i:]); n > 0 {
			if n == 1 || expr[i+n-1] != expr[i] {
				return errors.New("a quote is not closed")
			}
			i += n
			continue
		}
		switch {
		case expr[i] == '(':
			depth++
		case expr[i] == ')':
			if depth--; depth < 0 {
				return errors.New("a bracket is closed that was not opened")
			}
		case expr[i] == ';':
			return errors.New("it has a semicolon; it is one expression")
		case strings.HasPrefix(expr[i:], "--"), strings.HasPrefix(expr[i:], "/*"), expr[i] == '#' && !strings.HasPrefix(expr[i:], "#>"):
			return errors.New("it has a comment; comments of TOML begin with # outside of the quotes")
		}
		i++
	}
	if depth > 0 {
		return errors.New("a bracket is not closed")
	}
	return nil
}
