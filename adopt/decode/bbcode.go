package decode

import (
	"regexp"
	"strings"
)

// tag is one tag of BBCode, with what phpBB 3.0 added to tell it from text: [b:3k2jx].
var tag = regexp.MustCompile(`\[(/?)([a-zA-Z*]+)(?:=("[^"\]]*"|[^\]]*?))?(?::[0-9a-z]{5,8}|:[uom](?::[0-9a-z]{5,8})?)?\]`)

// Tags whose brackets go and whose text stays. Brackets around anything else are text.
var styling = map[string]bool{
	"b": true, "i": true, "u": true, "s": true, "color": true, "size": true, "font": true, "center": true, "left": true,
	"right": true, "justify": true, "align": true, "list": true, "ul": true, "ol": true, "sub": true, "sup": true,
	"highlight": true, "spoiler": true, "indent": true, "attachment": true, "media": true, "youtube": true, "flash": true,
}

// bbcode makes plain text of BBCode: styles go, links and pictures keep their address,
// quotations become lines that begin with ">". What is no tag stays as it is.
func bbcode(s string) string {
	if !strings.Contains(s, "[") {
		return s
	}
	w := &bbWriter{}
	at := 0
	for _, m := range tag.FindAllStringSubmatchIndex(s, -1) {
		if m[0] < at {
			continue
		}
		part := func(i int) string {
			if m[i] < 0 {
				return ""
			}
			return s[m[i]:m[i+1]]
		}
		w.top().WriteString(s[at:m[0]])
		if !w.tag(part(2) != "", strings.ToLower(part(4)), strings.Trim(strings.TrimPrefix(part(6), "&quot;"), `"`)) {
			w.top().WriteString(s[m[0]:m[1]])
		}
		at = m[1]
	}
	w.top().WriteString(s[at:])
	for len(w.open) > 0 {
		w.close(w.open[len(w.open)-1].name)
	}
	return w.b.String()
}

// bbWriter builds the text; elements whose text is needed as a whole are on a stack.
type bbWriter struct {
	b    strings.Builder
	open []*element
}

type element struct {
	name, value string
	strings.Builder
}

// maxOpen bounds the stack: what is nested deeper is text.
const maxOpen = 16

type stringWriter interface {
	WriteString(string) (int, error)
}

func (w *bbWriter) top() stringWriter {
	if n := len(w.open); n > 0 {
		return w.open[n-1]
	}
	return &w.b
}

// tag handles one tag, and reports whether it is one.
func (w *bbWriter) tag(closing bool, name, value string) bool {
	if n := len(w.open); n > 0 && w.open[n-1].name == "code" && (name != "code" || !closing) {
		return false // within code everything is text
	}
	switch name {
	case "*", "li":
		if !closing {
			w.top().WriteString("- ")
		}
		return true
	case "url", "img", "quote", "code", "email":
		if closing {
			return w.close(name)
		}
		if len(w.open) == maxOpen {
			return false
		}
		w.open = append(w.open, &element{name: name, value: value})
		return true
	}
	return styling[name]
}

// close writes the innermost element if it has the name.
func (w *bbWriter) close(name string) bool {
	n := len(w.open)
	if n == 0 || w.open[n-1].name != name {
		return false
	}
	e := w.open[n-1]
	w.open = w.open[:n-1]
	text := e.String()
	switch {
	case name == "quote":
		text = quoted(text, e.value)
	case (name == "url" || name == "email") && e.value != "" && e.value != text:
		text += " (" + e.value + ")"
	}
	w.top().WriteString(text)
	return true
}

// quoted makes a quotation of a text, by an author if one is named.
func quoted(text, author string) string {
	author, _, _ = strings.Cut(author, `" `) // phpBB writes post and time behind the name
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, strings.Repeat("> ", maxQuote)) {
		return text + "\n" // deep enough to be seen
	}
	var b strings.Builder
	if author != "" {
		b.WriteString("> " + author + ":\n")
	}
	for line := range strings.Lines(text) {
		b.WriteString("> " + line)
	}
	return b.String() + "\n"
}
