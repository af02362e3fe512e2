package survey

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/roomtide/roomtide/adopt/source"
)

// Style is how a report is printed.
type Style struct {
	Color   bool
	Columns int
	Now     time.Time
}

// Print writes the report as a page for a person.
func (r *Report) Print(w io.Writer, s Style) error {
	p := &page{Style: s, w: w}
	p.amounts(r)
	p.preview(r.Newest)
	p.problems(r)
	p.hints(r)
	p.ways(r)
	return p.err
}

// page writes lines, and keeps the first error.
type page struct {
	Style
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) styled(code, text string) string {
	if !p.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *page) bold(text string) string { return p.styled("1", text) }
func (p *page) dim(text string) string  { return p.styled("2", text) }
func (p *page) warn(text string) string { return p.styled("33", text) }
func (p *page) bad(text string) string  { return p.styled("31", text) }

func (p *page) title(text string) { p.line("\n%s", p.bold(text)) }

func (p *page) amounts(r *Report) {
	span := ""
	if !r.Last.IsZero() {
		span = fmt.Sprintf(", from %s to %s UTC (%s)", r.First.UTC().Format("2006-01-02"), r.Last.UTC().Format("2006-01-02 15:04"), Ago(p.Now.Sub(r.Last)))
	}
	p.line("%s %s%s", p.bold("Messages"), Number(r.Messages), span)
	var sides []string
	for _, a := range []struct {
		one, many string
		Amount
	}{{"room with a title", "rooms with titles", r.Rooms}, {"member", "members", r.Members}, {"user with a name", "users with names", r.Users},
		{"read mark", "read marks", r.Reads}} {
		switch {
		case a.More:
			sides = append(sides, Number(a.Rows)+"+ "+a.many)
		case a.Rows == 1:
			sides = append(sides, "1 "+a.one)
		case a.Rows > 1:
			sides = append(sides, Number(a.Rows)+" "+a.many)
		}
	}
	if len(sides) > 0 {
		p.line("%s %s", p.bold("Beside  "), strings.Join(sides, ", "))
	}
	if r.Looked == 0 {
		return
	}
	which := "all of them"
	if r.Looked < r.Messages-r.Messages/100 {
		which = Number(r.Looked) + " of them, spread over all"
	}
	p.line("%s %s, at %s rows a second", p.bold("Read    "), which, Number(r.Rate))
}

// Widths of the columns of the preview.
const roomWidth, nameWidth = 18, 16

func (p *page) preview(lines []Line) {
	if len(lines) == 0 {
		return
	}
	p.title("The newest messages, as they would look")
	for _, l := range lines {
		when := "      no time"
		if !l.Time.IsZero() {
			when = l.Time.UTC().Format("Jan 02 15:04")
		}
		name := l.Name
		if name == "" {
			name = l.User
		}
		if l.System {
			name = "—"
		}
		const before = 2 + 13 + 1 + roomWidth + 1 + nameWidth + 1
		text := clip(shown(&l), max(20, p.Columns-before))
		switch {
		case l.Refused:
			text = p.bad(text)
		case l.Deleted, l.System:
			text = p.dim(text)
		}
		p.line("  %13s %s %s %s", when, p.dim(pad(l.Room, roomWidth)), p.bold(pad(name, nameWidth)), text)
	}
}

// shown is a message in one line, with what else there is about it.
func shown(l *Line) string {
	var marks []string
	if l.Reply {
		marks = append(marks, "reply")
	}
	if l.Edited {
		marks = append(marks, "edited")
	}
	marks = append(marks, l.Data...)
	text := l.Text
	switch {
	case l.Refused:
		text = "(does not fit) " + text
	case l.Deleted:
		text = "(deleted)"
	}
	if len(marks) > 0 {
		text = "[" + strings.Join(marks, ", ") + "] " + text
	}
	return strings.TrimSpace(text)
}

func (p *page) problems(r *Report) {
	if len(r.Problems) == 0 {
		if r.Looked > 0 {
			p.title("Every message that was looked at fits.")
		}
		return
	}
	p.title(fmt.Sprintf("What does not fit (%s of %s would be left out)", Number(r.Refused), Number(r.Looked)))
	for _, x := range r.Problems {
		what := p.warn("noted   ")
		if x.Refused {
			what = p.bad("left out")
		}
		detail := ""
		if x.Detail != "" {
			detail = ", such as " + clip(x.Detail, 40)
		}
		p.line("  %9s  %s  %s %s%s", Number(x.Count), what, p.bold(string(x.Class)), p.dim("of "+x.Field+" in "+keys(x.Examples, x.Count)), detail)
		p.wrapped(22, x.Advice)
	}
}

func keys(examples []source.Key, count int64) string {
	var list []string
	for _, k := range examples {
		list = append(list, string(k))
	}
	more := ""
	if int64(len(examples)) < count {
		more = ", …"
	}
	return strings.Join(list, ", ") + more
}

func (p *page) hints(r *Report) {
	if len(r.Hints) == 0 {
		return
	}
	p.title("What may be encoded still")
	for _, h := range r.Hints {
		p.line("  %9s  texts look made for %s, as in %s", Number(h.Count), p.bold(string(h.Decoder)), p.dim(keys(h.Examples, h.Count)))
	}
	p.wrapped(13, "Where the preview shows it too, add the decoder to message.decode.")
}

func (p *page) ways(r *Report) {
	if r.OneWay == "" {
		return
	}
	p.title("One direction only")
	p.wrapped(2, "New clients see what old pages write, and not the other way round: "+r.OneWay+".")
}

// wrapped writes a paragraph with an indent.
func (p *page) wrapped(indent int, text string) {
	room := max(30, p.Columns-indent)
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && cells(line)+1+cells(word) > room {
			p.line("%s%s", strings.Repeat(" ", indent), line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	p.line("%s%s", strings.Repeat(" ", indent), line)
}

// Number writes a number with commas.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Ago says how long ago something was.
func Ago(d time.Duration) string {
	switch {
	case d < -time.Minute:
		return "in the future: see source.tz"
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// plain is a text for one line of a terminal: without what moves the cursor or turns text around.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != 0x200d:
			return -1
		}
		return r
	}, text)
}

// cells is how many columns of a terminal a text takes.
func cells(text string) (n int) {
	for _, r := range text {
		n += cell(r)
	}
	return n
}

func cell(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r) || r == 0x200d || unicode.Is(unicode.Variation_Selector, r):
		return 0
	case r < 0x1100:
		return 1
	case r >= 0x1F300 && r < 0x1FB00:
		return 2
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// clip is a text of at most n columns; … says that there is more.
func clip(text string, n int) string {
	text = plain(text)
	if cells(text) <= n {
		return text
	}
	used := 0
	for i, r := range text {
		if used+cell(r) > n-1 {
			return text[:i] + "…"
		}
		used += cell(r)
	}
	return text
}

// pad is a text of exactly n columns.
func pad(text string, n int) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "?")
	}
	text = clip(text, n)
	return text + strings.Repeat(" ", n-cells(text))
}
