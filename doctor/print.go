package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/roomtide/roomtide/config"
)

// Unreadable are the findings about settings that cannot be loaded.
func Unreadable(problems config.Problems) []Finding {
	var fs []Finding
	for _, p := range problems {
		fs = append(fs, Finding{Section: sectionSettings, Check: p.Where, Level: Fail, Text: p.Text, Help: p.Fix})
	}
	return fs
}

// PrintJSON writes the findings as one JSON object.
func PrintJSON(w io.Writer, fs []Finding) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Level    Level     `json:"level"`
		Findings []Finding `json:"findings"`
	}{Worst(fs), fs})
}

// style is how a level looks.
type style struct{ mark, color string }

var (
	plainStyles = map[Level]style{OK: {"ok  ", ""}, Warn: {"warn", ""}, Fail: {"FAIL", ""}}
	colorStyles = map[Level]style{OK: {"✓", "32"}, Warn: {"!", "33"}, Fail: {"✗", "31"}}
)

// Print writes the findings by section for a reader; with color for a terminal of so many
// columns.
func Print(w io.Writer, fs []Finding, color bool, columns int) error {
	p := &printer{color: color, columns: max(columns, 40), styles: plainStyles}
	if color {
		p.styles = colorStyles
	}
	width := 0
	for _, f := range fs {
		width = max(width, len([]rune(f.Check)))
	}
	count := map[Level]int{}
	section := ""
	for _, f := range fs {
		if f.Section != section {
			section = f.Section
			p.f("\n%s\n", p.paint("1", strings.ToUpper(section[:1])+section[1:]))
		}
		count[f.Level]++
		p.finding(f, min(width, 24))
	}
	p.f("\n%s\n", p.summary(count))
	_, err := io.WriteString(w, strings.TrimPrefix(p.b.String(), "\n"))
	return err
}

type printer struct {
	b       strings.Builder
	color   bool
	columns int
	styles  map[Level]style
}

func (p *printer) f(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// paint gives a text a color or weight (SGR), on a terminal.
func (p *printer) paint(code, text string) string {
	if !p.color || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) finding(f Finding, width int) {
	st := p.styles[f.Level]
	indent := 2 + len([]rune(st.mark)) + 2 + width + 2
	p.f("  %s  %-*s  ", p.paint(st.color, st.mark), width, printable(f.Check))
	p.f("%s\n", p.wrapped(f.Text, indent))
	if f.Help != "" {
		arrow := "-> "
		if p.color {
			arrow = "→ "
		}
		help := strings.Repeat(" ", indent) + arrow + p.wrapped(f.Help, indent+len([]rune(arrow)))
		if p.color { // each line by itself: a pager may begin at any
			lines := strings.Split(help, "\n")
			for i := range lines {
				lines[i] = p.paint("2", lines[i])
			}
			help = strings.Join(lines, "\n")
		}
		p.f("%s\n", help)
	}
}

// wrapped breaks a text between words so that it ends at the last column, with all lines
// but the first indented.
func (p *printer) wrapped(text string, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(printable(text)) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > p.columns && at > indent:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// printable leaves out what could move the cursor or change the colors: parts of the
// texts come from a proxy.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

func (p *printer) summary(count map[Level]int) string {
	switch {
	case count[Fail] > 0:
		return p.paint("1;31", fmt.Sprintf("%s, %s", number(count[Fail], "failure"), number(count[Warn], "warning")))
	case count[Warn] > 0:
		return p.paint("1;33", number(count[Warn], "warning"))
	}
	return p.paint("1;32", "all is well")
}

func number(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
