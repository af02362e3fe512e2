// Package completion writes the scripts by which shells complete a command line, from
// the model that kong has of it.
//
// A script is tables and a loop: the loop reads the words before the cursor from left
// to right and so finds the verb, and the flag whose value is being written if there is
// one; the tables say which verbs, flags and values may stand there. Values are known
// from tags: enum or words lists them, placeholder FILE and DIR are names of files and
// directories, and the argument with complete:"verbs" is itself the name of a verb.
package completion

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are the shells for which there is a script.
var Shells = []string{"bash", "zsh", "fish"}

// Write writes the script of a shell for the program.
func Write(w io.Writer, shell string, app *kong.Application) error {
	write := map[string]func(string, []verb) string{"bash": bash, "zsh": zsh, "fish": fish}[shell]
	if write == nil {
		return fmt.Errorf("there is no completion for %q", shell)
	}
	_, err := io.WriteString(w, write(app.Name, verbs(app)))
	return err
}

// What a value can be, besides one of some words.
const (
	anything = ""
	file     = "@file"
	dir      = "@dir"
)

// verb is a place on the command line: the program itself, or a verb of it.
type verb struct {
	path  string // "roomtide key add"
	next  []step
	flags []flag
	args  string // what the arguments are: words with spaces between, file, dir, or anything
}

// step is a word that leads to another place.
type step struct{ word, help, to string }

type flag struct {
	name   string // without dashes
	short  string // "" if there is none
	help   string
	takes  bool // a value follows
	values string
}

// verbs returns every place, the program itself first.
func verbs(app *kong.Application) []verb {
	var all []verb
	var walk func(n *kong.Node, path string)
	walk = func(n *kong.Node, path string) {
		v := verb{path: path, flags: flags(n)}
		if len(n.Positional) > 0 {
			v.args = values(n.Positional[0])
			if n.Positional[0].Tag.Get("complete") == "verbs" {
				v.next = steps(app.Node, app.Name)
			}
		}
		if len(n.Children) > 0 {
			v.next = steps(n, path)
		}
		all = append(all, v)
		for _, c := range n.Children {
			if !c.Hidden {
				walk(c, path+" "+c.Name)
			}
		}
	}
	walk(app.Node, app.Name)
	return all
}

func steps(n *kong.Node, path string) (out []step) {
	for _, c := range n.Children {
		if !c.Hidden {
			out = append(out, step{c.Name, brief(c.Help), path + " " + c.Name})
		}
	}
	return out
}

// flags returns the flags that a verb understands: --help, its own, and those of the
// verb that it stands for.
func flags(n *kong.Node) (out []flag) {
	add := func(fs []*kong.Flag) {
		for _, f := range fs {
			if f.Hidden {
				continue
			}
			one := flag{name: f.Name, help: brief(f.Help), takes: !f.IsBool() && !f.IsCounter(), values: values(f.Value)}
			if f.Short != 0 {
				one.short = string(f.Short)
			}
			out = append(out, one)
		}
	}
	if n.Parent != nil {
		root := n
		for root.Parent != nil {
			root = root.Parent
		}
		add(slices.DeleteFunc(slices.Clone(root.Flags), func(f *kong.Flag) bool { return f.Name != "help" }))
	}
	add(n.Flags)
	if n.DefaultCmd != nil {
		add(n.DefaultCmd.Flags)
	}
	return out
}

// brief is the first sentence of a help text, which a line of a menu has room for.
func brief(help string) string {
	help, _, _ = strings.Cut(help, ". ")
	help, _, _ = strings.Cut(help, "; ")
	help = strings.TrimSuffix(help, ".")
	const room = 100
	if len(help) > room {
		if i := strings.LastIndexAny(help[:room], " ,:("); i > 0 {
			help = strings.TrimRight(help[:i], " ,:(") + "…"
		}
	}
	return help
}

func values(v *kong.Value) string {
	words := v.Enum
	if words == "" {
		words = v.Tag.Get("words")
	}
	switch {
	case words != "":
		return strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r == ',' || r == ' ' }), " ")
	case v.Tag.PlaceHolder == "FILE":
		return file
	case v.Tag.PlaceHolder == "DIR":
		return dir
	}
	return anything
}

// table is the body of a case statement of bash and zsh: from the words to REPLY. What
// is not in it is false.
func table(rows [][2]string) string {
	var b strings.Builder
	b.WriteString("    case $1 in\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "    %s) REPLY=%s ;;\n", single(r[0]), single(r[1]))
	}
	b.WriteString("    *) return 1 ;;\n    esac\n")
	return b.String()
}

// nextTable says to which verb a word leads, after a verb.
func nextTable(all []verb) (rows [][2]string) {
	for _, v := range all {
		for _, s := range v.next {
			rows = append(rows, [2]string{v.path + " " + s.word, s.to})
		}
	}
	return rows
}

// valueTable says which flags of a verb take a value, and of what sort.
func valueTable(all []verb) (rows [][2]string) {
	for _, v := range all {
		for _, f := range v.flags {
			if !f.takes {
				continue
			}
			rows = append(rows, [2]string{v.path + " --" + f.name, f.values})
			if f.short != "" {
				rows = append(rows, [2]string{v.path + " -" + f.short, f.values})
			}
		}
	}
	return rows
}

// argTable says what the arguments of a verb are.
func argTable(all []verb) (rows [][2]string) {
	for _, v := range all {
		if v.args != anything {
			rows = append(rows, [2]string{v.path, v.args})
		}
	}
	return rows
}

// single quotes for bash and zsh.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
