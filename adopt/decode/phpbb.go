package decode

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// phpbb makes plain text of a body as phpBB stores it. Since 3.2 that is XML: <t> for
// plain text, <r> for text with markup, where <s> and <e> hold the tags as they were
// typed. Older rows are BBCode with entities.
func phpbb(s string) (string, error) {
	if !strings.HasPrefix(s, "<t>") && !strings.HasPrefix(s, "<t/>") && !strings.HasPrefix(s, "<r>") {
		return bbcode(Entities(smilies(s))), nil
	}
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict = true
	w := &phpbbWriter{}
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return strings.TrimRight(w.frames[0].String(), "\n"), nil
		case err != nil:
			return "", errors.New("the XML is not well formed")
		}
		if err := w.token(t); err != nil {
			return "", err
		}
	}
}

// smilies takes out what phpBB 3.0 put around smilies and links: comments, and pictures
// with the typed text as alt.
func smilies(s string) string {
	if !strings.Contains(s, "<!--") {
		return s
	}
	return htmlText(strings.ReplaceAll(s, "\n", "<br>"))
}

// phpbbWriter has a frame for the document and for each open element.
type phpbbWriter struct{ frames []*frame }

type frame struct {
	name, value string
	hidden      bool
	strings.Builder
}

// maxFrames bounds the depth of elements.
const maxFrames = 100

func (w *phpbbWriter) token(t xml.Token) error {
	if len(w.frames) == 0 {
		w.frames = append(w.frames, &frame{})
	}
	top := w.frames[len(w.frames)-1]
	switch t := t.(type) {
	case xml.StartElement:
		if len(w.frames) == maxFrames {
			return errors.New("elements are nested too deeply")
		}
		w.frames = append(w.frames, open(t, top.hidden))
	case xml.EndElement:
		w.frames = w.frames[:len(w.frames)-1]
		w.frames[len(w.frames)-1].WriteString(top.close())
	case xml.CharData:
		text := string(t)
		if strings.HasSuffix(top.String(), "\n") {
			text = strings.TrimPrefix(text, "\n") // the one behind <br/>
		}
		if !top.hidden {
			top.WriteString(text)
		}
	}
	return nil
}

func open(t xml.StartElement, hidden bool) *frame {
	f := &frame{name: t.Name.Local, hidden: hidden}
	switch f.name {
	case "s", "e", "i":
		f.hidden = true
	}
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "url", "src", "author", "email":
			f.value = a.Value
		}
	}
	return f
}

// close is what an element adds to the one around it.
func (f *frame) close() string {
	text := f.String()
	switch {
	case f.hidden:
		return ""
	case f.name == "br":
		return "\n"
	case f.name == "LI":
		return "- " + strings.TrimSpace(text) + "\n"
	case f.name == "QUOTE":
		return quoted(text, f.value)
	case f.name == "URL" && f.value != text && f.value != "":
		return text + " (" + f.value + ")"
	case f.name == "IMG" && f.value != "":
		return f.value
	}
	return text
}
