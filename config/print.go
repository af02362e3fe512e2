package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Print writes the settings in force as TOML, each with where it came from.
// Secrets are left out.
func (c *Config) Print(w io.Writer) error {
	p := &printer{w: w}
	table := ""
	for _, s := range c.Settings() {
		from := c.origin[s.Key]
		if from == "" {
			from = "default"
		}
		if s.isList() && s.value.Len() > 0 {
			p.tables(s.Key, from, s.value)
			continue
		}
		table = p.table(table, s.Table())
		p.f("%-34s # %s\n", s.name()+" = "+s.masked(), from)
	}
	if len(c.Auth.Keys) > 0 {
		p.tables("auth.keys", c.file, reflect.ValueOf(c.Auth.Keys))
	}
	return p.err
}

// WriteTOML writes the file of a new node: every setting at its default and
// commented out, so that a later version may have other defaults.
func WriteTOML(w io.Writer) error {
	p := &printer{w: w}
	p.f("# Settings of Roomtide. Each line that begins with #name shows the default;\n" +
		"# take the # away to change it. Flags and ROOMTIDE_ environment variables win\n" +
		"# over this file. \"roomtide config check\" tells what is wrong with it,\n" +
		"# \"roomtide config print\" what is in force.\n")
	table := ""
	for _, s := range Default().Settings() {
		if s.isList() {
			p.f("\n%s", wrap(s.Help))
			p.example(s.Key, s.value.Type().Elem())
			continue
		}
		if table == "auth" && s.Table() != table {
			p.keys()
		}
		table = p.table(table, s.Table())
		p.f("\n%s#%s = %s\n", wrap(s.Help), s.name(), s.toml())
	}
	return p.err
}

// CreateFile writes the commented file into the data dir unless there is a
// file already. It reports whether it wrote one.
func (c *Config) CreateFile() (bool, error) {
	if c.file != filepath.Join(c.DataDir, FileName) {
		return false, nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return false, fmt.Errorf("data_dir: %w", err)
	}
	f, err := os.OpenFile(c.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(WriteTOML(f), f.Close())
}

// Doc writes docs/configuration.md.
func Doc(w io.Writer) error {
	p := &printer{w: w}
	p.f("# Configuration\n\n" +
		"<!-- Made by \"make generate\" from package config; do not edit. -->\n\n" +
		"Roomtide runs without any settings. What you set is taken from the first of these that has it:\n\n" +
		"1. the flag on the command line of `roomtide serve`,\n" +
		"2. the environment variable,\n" +
		"3. the TOML file: the one `--config` (or `ROOMTIDE_CONFIG`) names, else `roomtide.toml` in the data dir, which the first start writes with every setting commented out,\n" +
		"4. the default.\n\n" +
		"A key in the file that does not exist is an error that names the line. Lists are written with commas in flags and variables.\n\n" +
		"| command | |\n| --- | --- |\n" +
		"| `roomtide config check` | everything that is wrong with the settings, at once |\n" +
		"| `roomtide config print` | the settings in force and where each came from |\n" +
		"| `roomtide config doc` | this page |\n")
	table := "-"
	var lists []Setting
	for _, s := range Default().Settings() {
		if s.isList() {
			lists = append(lists, s)
		}
		if t := s.Table(); t != table {
			table = t
			if t != "" {
				p.f("\n## [%s]\n", t)
			} else {
				p.f("\n## Node\n")
			}
			p.f("\n| key | flag | environment | default | |\n| --- | --- | --- | --- | --- |\n")
		}
		p.f("| `%s` | `--%s` | `%s` | %s | %s |\n", s.Key, s.Flag(), s.Env(), code(s.toml()), s.Help)
	}
	for _, s := range lists {
		p.f("\n## [[%s]]\n\nOnce for each of them. The flag and the variable give the dsn alone.\n", s.Key)
		p.fields(s.value.Type().Elem())
	}
	p.f("\n## [[auth.keys]]\n\nIn the file only; once for each key.\n")
	p.fields(reflect.TypeFor[AuthKey]())
	return p.err
}

// printer keeps the first error of a run of writes.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, a...)
	}
}

func (p *printer) table(now, next string) string {
	if next != now {
		p.f("\n[%s]\n", next)
	}
	return next
}

// tables writes a list of tables. What is not set is left out.
func (p *printer) tables(key, from string, list reflect.Value) {
	for i := range list.Len() {
		p.f("\n%-34s # %s\n", "[["+key+"]]", from)
		v := list.Index(i)
		for j := range v.NumField() {
			f := v.Type().Field(j)
			s := Setting{Key: f.Tag.Get("toml"), mask: f.Tag.Get("mask"), value: v.Field(j)}
			if !v.Field(j).IsZero() {
				p.f("%s = %s\n", s.Key, s.masked())
			}
		}
	}
}

// keys writes the commented list of keys that sign user tokens.
func (p *printer) keys() {
	p.f("\n# Keys that sign user tokens, as often as there are keys.\n")
	p.example("auth.keys", reflect.TypeFor[AuthKey]())
}

// example writes one table of a list, commented out.
func (p *printer) example(key string, t reflect.Type) {
	p.f("#[[%s]]\n", key)
	for i := range t.NumField() {
		s := Setting{value: reflect.New(t.Field(i).Type).Elem()}
		p.f("#%s = %s # %s\n", t.Field(i).Tag.Get("toml"), s.toml(), t.Field(i).Tag.Get("help"))
	}
}

// fields writes what a table of a list has, for Doc.
func (p *printer) fields(t reflect.Type) {
	p.f("\n| key | |\n| --- | --- |\n")
	for i := range t.NumField() {
		p.f("| `%s` | %s |\n", t.Field(i).Tag.Get("toml"), t.Field(i).Tag.Get("help"))
	}
}

// name is the key within its table.
func (s Setting) name() string { return strings.TrimPrefix(s.Key, s.Table()+".") }

// masked is toml without secrets.
func (s Setting) masked() string {
	if texts, ok := s.value.Interface().([]string); ok && s.mask != "" {
		shown := make([]string, len(texts))
		for i, text := range texts {
			shown[i] = Mask(text)
		}
		return list(shown)
	}
	switch text, ok := s.value.Interface().(string); {
	case s.mask == "" || !ok || text == "":
		return s.toml()
	case s.mask == "secret":
		return quote("xxxxx")
	case s.mask == "dsn":
		return quote(Mask(text))
	}
	u, err := url.Parse(s.value.String())
	if err != nil {
		return quote("xxxxx")
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxxxx"
	}
	return quote(u.Redacted())
}

func code(s string) string {
	if s == `""` || s == "[]" {
		return ""
	}
	return "`" + s + "`"
}

// wrap breaks a sentence into comment lines.
func wrap(s string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(s) {
		if len(line)+1+len(word) > 80 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
