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
		table = p.table(table, s.Table())
		from := c.origin[s.Key]
		if from == "" {
			from = "default"
		}
		p.f("%-34s # %s\n", s.name()+" = "+s.masked(), from)
	}
	for _, k := range c.Auth.Keys {
		p.f("\n[[auth.keys]]\n")
		v := reflect.ValueOf(k)
		for i := range v.NumField() {
			p.f("%s = %s\n", v.Type().Field(i).Tag.Get("toml"), quote(v.Field(i).String()))
		}
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
		if table != "" && s.Table() != table {
			p.listOf(table)
		}
		table = p.table(table, s.Table())
		p.f("\n%s#%s = %s\n", wrap(s.Help), s.name(), s.toml())
	}
	p.listOf(table)
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
	for _, s := range Default().Settings() {
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
	p.f("\n## [[auth.keys]]\n\nIn the file only; once for each key.\n\n| key | |\n| --- | --- |\n")
	t := reflect.TypeFor[AuthKey]()
	for i := range t.NumField() {
		p.f("| `%s` | %s |\n", t.Field(i).Tag.Get("toml"), t.Field(i).Tag.Get("help"))
	}
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

// listOf writes the commented list of tables that belongs to a table.
func (p *printer) listOf(table string) {
	if table != "auth" {
		return
	}
	p.f("\n# Keys that sign user tokens, as often as there are keys.\n#[[auth.keys]]\n")
	t := reflect.TypeFor[AuthKey]()
	for i := range t.NumField() {
		p.f("#%s = \"\" # %s\n", t.Field(i).Tag.Get("toml"), t.Field(i).Tag.Get("help"))
	}
}

// name is the key within its table.
func (s Setting) name() string { return strings.TrimPrefix(s.Key, s.Table()+".") }

// masked is toml without secrets.
func (s Setting) masked() string {
	if s.mask != "url" || s.value.String() == "" {
		return s.toml()
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
