package survey

import (
	"encoding/json"
	"io"
	"strings"
)

// Print writes what was recognised.
func (f *Found) Print(w io.Writer, s Style) error {
	p := &page{Style: s, w: w}
	p.line("%s %s, in the table %s of %s", p.bold("Chat    "), f.Title, f.Table, f.Document.Source.Name)
	for _, x := range f.Left {
		p.line("%s %s", p.warn("Left out"), x)
	}
	for _, x := range f.Unsure {
		p.line("%s %s", p.warn("Look at "), x)
	}
	if len(f.Others) > 0 {
		p.line("%s %s fits as well: --preset and --table take another", p.dim("Besides "), strings.Join(f.Others, ", "))
	}
	return p.err
}

// PrintNext says how to go on.
func PrintNext(w io.Writer, s Style, file string) error {
	p := &page{Style: s, w: w}
	named := ""
	if file != "adopt.toml" {
		named = " --file " + file
	}
	p.title("Wrote " + file + ". How to go on")
	p.line("  1. Read it, and correct what the preview shows wrong. Nothing was imported.")
	p.line("  2. %s   reads everything, and says what will not fit", p.bold("roomtide adopt check"+named))
	p.line("  3. %s     copies the history into a node, and follows the table", p.bold("roomtide adopt run"+named))
	return p.err
}

// PrintJSON writes what was found and what there is as one JSON object. found may be nil.
func PrintJSON(w io.Writer, found *Found, r *Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Found  *Found  `json:"found,omitempty"`
		Report *Report `json:"report"`
	}{found, r})
}
