package mapping

import (
	"cmp"
	"embed"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

//go:embed presets/*.toml
var presetFiles embed.FS

// Preset is the mapping of a known chat. In its text, {table} is the table of messages
// that was found, and {prefix} what stands before its usual name.
type Preset struct {
	Name string

	Title   string   `toml:"title"`
	Table   string   `toml:"table"`   // pattern of the name
	Columns []string `toml:"columns"` // that the table has to have
	With    []string `toml:"with"`    // tables that have to be there
	TZ      string   `toml:"tz"`      // of its times, "" for that of the application

	text string // the mapping, with the comments
}

// Presets are all of them, by name.
func Presets() []Preset { return presets }

var presets = readPresets()

func readPresets() []Preset {
	files, err := presetFiles.ReadDir("presets")
	if err != nil {
		panic(err) // they are embedded
	}
	var all []Preset
	for _, f := range files {
		data, err := presetFiles.ReadFile("presets/" + f.Name())
		if err != nil {
			panic(err)
		}
		all = append(all, readPreset(strings.TrimSuffix(f.Name(), path.Ext(f.Name())), string(data)))
	}
	return all
}

// readPreset takes the part about the preset itself from the mapping.
func readPreset(name, text string) Preset {
	head, rest, ok := strings.Cut(text, "\n\n")
	var file struct{ Preset Preset }
	if err := toml.Unmarshal([]byte(head), &file); err != nil || !ok {
		panic("the preset " + name + " is wrong: every start fails")
	}
	p := file.Preset
	p.Name, p.text = name, rest
	return p
}

// Match is a preset that fits a database.
type Match struct {
	Preset Preset
	Table  string
	Prefix string
}

// Recognise returns the presets that fit the tables, the most particular first: one
// whose table has its usual name before others, then by the number of columns.
func Recognise(c Catalog) []Match {
	var all []Match
	for _, p := range presets {
		pattern := wildcard(p.Table)
		for i := range c {
			name := pattern.FindStringSubmatch(c[i].Name)
			if name == nil || !c[i].has(p.Columns) {
				continue
			}
			m := Match{Preset: p, Table: c[i].Name, Prefix: name[1]}
			if p.Table == "*" {
				m.Prefix = ""
			}
			if !slices.ContainsFunc(p.With, func(t string) bool { return c.Table(m.fill(t)) == nil }) {
				all = append(all, m)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Match) int {
		return cmp.Or(-cmp.Compare(len(a.Preset.Columns), len(b.Preset.Columns)), -cmp.Compare(len(a.Preset.Table), len(b.Preset.Table)))
	})
	return all
}

func (t *Table) has(columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return t.Column(c) == nil })
}

func (m *Match) fill(text string) string {
	return strings.NewReplacer("{table}", m.Table, "{prefix}", m.Prefix).Replace(text)
}

// Text is the mapping of a match, as it goes into the file.
func (m *Match) Text() string { return m.fill(m.Preset.text) }

// Drop takes lines and sections out of the text of a mapping that do not fit, which
// are named as in "message.data.file" or "member" with its number. What is taken out stays as a comment, with
// the reason.
func Drop(text string, what Part, reason string) string {
	lines := strings.Split(text, "\n")
	from, to := what.lines(lines)
	if from < 0 {
		return text
	}
	var out []string
	out = append(out, lines[:from]...)
	out = append(out, "# Left out: "+strings.Join(strings.Fields(reason), " "))
	for _, l := range lines[from:to] {
		if l != "" {
			l = "# " + l
		}
		out = append(out, l)
	}
	return strings.Join(append(out, lines[to:]...), "\n")
}

// Part names a line or a section of a mapping.
type Part struct {
	Section string // "message", "member"
	Number  int    // of the sections with this name, from 0
	Field   string // "" for the whole section
}

var header = regexp.MustCompile(`^\[+([\w.]+)\]+\s*$`)

// lines finds a part.
func (p Part) lines(lines []string) (from, to int) {
	section, name := p.Section, p.Field
	for _, sub := range []string{"data", "data_decode", "watch"} {
		if rest, ok := strings.CutPrefix(name, sub+"."); ok && section == "message" {
			section, name = "message."+sub, rest
		}
	}
	seen := -1
	for i, l := range lines {
		m := header.FindStringSubmatch(l)
		if m != nil && m[1] == section {
			if seen++; seen == p.Number && name == "" {
				return i, sectionEnd(lines, i+1)
			}
		} else if m != nil && seen == p.Number {
			return -1, -1
		}
		key, _, _ := strings.Cut(l, "=")
		if seen == p.Number && name != "" && strings.Trim(strings.TrimSpace(key), `"`) == name {
			return i, i + 1
		}
	}
	return -1, -1
}

func sectionEnd(lines []string, from int) int {
	for i := from; i < len(lines); i++ {
		if lines[i] == "" || header.MatchString(lines[i]) {
			return i
		}
	}
	return len(lines)
}
