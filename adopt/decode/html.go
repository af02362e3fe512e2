package decode

import (
	"strings"

	"golang.org/x/net/html"
)

// htmlText makes plain text of HTML: paragraphs and breaks become lines, links and
// pictures keep their address, and everything else goes.
//
// Chats differ in what a line break in the source means. Where the text has elements
// that break lines it means nothing, as in HTML; where it has none it is the user's.
func htmlText(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	w := &textWriter{}
	w.collapse = breaksInMarkup(s)
	t := html.NewTokenizer(strings.NewReader(s))
	for {
		switch t.Next() {
		case html.ErrorToken:
			return w.String()
		case html.TextToken:
			if !w.hidden() {
				w.text(Entities(string(t.Raw())))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			w.start(t)
		case html.EndTagToken:
			name, _ := t.TagName()
			w.end(string(name))
		}
	}
}

func breaksInMarkup(s string) bool {
	s = strings.ToLower(s)
	for _, tag := range []string{"<br", "<p>", "<p ", "</p>", "<div", "<li"} {
		if strings.Contains(s, tag) {
			return true
		}
	}
	return false
}

// textWriter builds the text. Lines that elements ask for are written before the next
// text only, so that none is at the ends.
type textWriter struct {
	b        strings.Builder
	collapse bool
	space    bool // a space is due
	lines    int  // line breaks that are due
	quote    int  // depth of blockquote
	hide     int  // depth of elements without text
	links    []link
}

// link is an open element a, and where its text begins.
type link struct {
	href string
	at   int
}

func (w *textWriter) hidden() bool { return w.hide > 0 }

// maxLines bounds a run of line breaks, maxQuote the depth that quotations show.
const maxLines, maxQuote = 2, 5

func (w *textWriter) line(n int) { w.lines, w.space = max(w.lines, n), false }

// due writes what stands before the next text.
func (w *textWriter) due() {
	switch {
	case w.lines > 0 && w.b.Len() > 0:
		for range w.lines {
			w.b.WriteByte('\n')
		}
		w.b.WriteString(strings.Repeat("> ", w.quote))
	case w.b.Len() == 0:
		w.b.WriteString(strings.Repeat("> ", w.quote))
	case w.space:
		w.b.WriteByte(' ')
	}
	w.lines, w.space = 0, false
}

func (w *textWriter) text(s string) {
	if !w.collapse {
		if s != "" {
			w.due()
			w.b.WriteString(s)
		}
		return
	}
	for i, word := range strings.FieldsFunc(s, isSpace) {
		w.space = w.space || i > 0 || isSpace(rune(s[0]))
		if w.lines > 0 || w.b.Len() == 0 {
			w.space = false
		}
		w.due()
		w.b.WriteString(word)
	}
	if s != "" && isSpace(rune(s[len(s)-1])) && w.b.Len() > 0 && w.lines == 0 {
		w.space = true
	}
}

// isSpace is white space as HTML has it: a no-break space is none.
func isSpace(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\r' || r == '\f' }

func (w *textWriter) start(t *html.Tokenizer) {
	token := t.Token()
	attribute := func(name string) string {
		for _, a := range token.Attr {
			if a.Key == name {
				return strings.TrimSpace(a.Val)
			}
		}
		return ""
	}
	switch token.Data {
	case "script", "style", "head", "title", "template":
		if token.Type == html.StartTagToken {
			w.hide++
		}
	case "br":
		w.lines, w.space = min(w.lines+1, maxLines), false
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "div", "ul", "ol", "table", "tr", "pre", "hr":
		w.line(1)
	case "blockquote":
		w.line(1)
		w.quote = min(w.quote+1, maxQuote)
	case "li":
		w.line(1)
		w.text("- ")
	case "td", "th":
		w.space = true
	case "a":
		if token.Type == html.StartTagToken {
			w.links = append(w.links, link{attribute("href"), w.b.Len()})
		}
	case "img", "video", "audio", "source", "iframe", "embed":
		w.picture(attribute("alt"), attribute("src"))
	}
}

func (w *textWriter) end(name string) {
	switch name {
	case "script", "style", "head", "title", "template":
		w.hide = max(0, w.hide-1)
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "div", "ul", "ol", "table", "tr", "pre", "li":
		w.line(1)
	case "blockquote":
		w.line(1)
		w.quote = max(0, w.quote-1)
	case "a":
		if n := len(w.links); n > 0 {
			w.closeLink(w.links[n-1])
			w.links = w.links[:n-1]
		}
	}
}

// closeLink adds the address of a link, unless its text is the address.
func (w *textWriter) closeLink(l link) {
	text := strings.TrimSpace(w.b.String()[min(l.at, w.b.Len()):])
	switch bare := strings.TrimPrefix(strings.TrimPrefix(l.href, "mailto:"), "tel:"); {
	case l.href == "" || strings.HasPrefix(l.href, "#") || strings.HasPrefix(l.href, "javascript:"), text == bare,
		"http://"+text == bare, "https://"+text == bare, text+"/" == bare:
	case text == "":
		w.word(l.href)
	default:
		w.word("(" + l.href + ")")
	}
}

// picture writes the text of an emoji, or the address of a picture.
func (w *textWriter) picture(alt, src string) {
	switch {
	case alt != "" && (src == "" || len([]rune(alt)) <= 16 || strings.HasPrefix(src, "data:")):
		w.text(alt)
	case strings.HasPrefix(src, "data:"):
		w.word("[picture]")
	case src != "":
		w.word(src)
	}
}

// word writes text that stands apart from its neighbours.
func (w *textWriter) word(s string) {
	if text := w.b.String(); w.lines == 0 && text != "" && !isSpace(rune(text[len(text)-1])) {
		w.space = true
	}
	w.due()
	w.b.WriteString(s)
}

func (w *textWriter) String() string {
	if w.collapse {
		return strings.TrimFunc(w.b.String(), isSpace)
	}
	return w.b.String()
}
