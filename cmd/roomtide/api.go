package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// backEnd is how verbs reach a running node as the host's back end does: over HTTP, with
// an API key.
type backEnd struct {
	URL  string `name:"url" env:"ROOMTIDE_URL" default:"http://127.0.0.1:8080" help:"URL of the node."`
	Key  string `env:"ROOMTIDE_KEY" placeholder:"KEY" help:"API key; the environment keeps it out of the list of processes. \"roomtide key add\" makes one."`
	JSON bool   `name:"json" help:"Print JSON, as the node answers; lists as one line for each entry."`
}

const (
	answerBytes = 64 << 20         // of one answer that is read
	askAgain    = 10               // times that a busy node is asked
	longestWait = 30 * time.Second // that it may ask for, each time
)

// problem is a refusal of the node.
type problem struct {
	Status     int
	Detail     string
	Code       string
	RetryAfter int64 `json:"retry_after"` // milliseconds
}

func (p *problem) Error() string { return p.Detail }

// refusedAs reports whether err is a refusal with the code.
func refusedAs(err error, k chat.Kind) bool {
	var p *problem
	return errors.As(err, &p) && p.Code == k.Code()
}

// call asks the node, and once more when it says that it is busy. path is made of
// parts, which are escaped. body is sent as JSON unless it is nil. The answer, if it has
// one, is read into out.
func (b *backEnd) call(a *app, method string, path []string, query url.Values, body, out any) error {
	if b.Key == "" {
		return usageError("which API key? give --key or ROOMTIDE_KEY; \"roomtide key add NAME\" makes one on the machine of the node")
	}
	for try := 1; ; try++ {
		err := b.ask(a.ctx, method, path, query, body, out)
		var p *problem
		if !errors.As(err, &p) || p.RetryAfter == 0 || try == askAgain {
			return b.explain(err)
		}
		select {
		case <-time.After(min(time.Duration(p.RetryAfter)*time.Millisecond, longestWait)):
		case <-a.ctx.Done():
			return b.explain(err)
		}
	}
}

// explain adds to a refusal what to do about it.
func (b *backEnd) explain(err error) error {
	var p *problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s: %w; is it a key of this node (\"roomtide key list\"), and not made in the last seconds?", b.URL, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w (\"roomtide key add NAME --scope …\" makes a key with other scopes)", err)
	}
	return err
}

func (b *backEnd) ask(ctx context.Context, method string, path []string, query url.Values, body, out any) error {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(text)
	}
	address := strings.TrimSuffix(b.URL, "/") + "/v1"
	for _, part := range path {
		address += "/" + url.PathEscape(part)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, in)
	if err != nil || req.URL.Host == "" {
		return usageError("--url is not a URL such as http://127.0.0.1:8080")
	}
	req.Header.Set("Authorization", "Bearer "+b.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w; is the node running there? (--url or ROOMTIDE_URL)", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return err
	}
	return b.read(resp, text, out)
}

func (b *backEnd) read(resp *http.Response, text []byte, out any) error {
	var p problem
	switch err := json.Unmarshal(text, &p); {
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case err != nil || resp.StatusCode >= 400 && p.Code == "":
		return fmt.Errorf("%s answers %s: is that a roomtide node?", b.URL, resp.Status)
	case resp.StatusCode >= 400:
		return &p
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, out)
}

// pages calls each with every entry of a list that comes in pages, up to limit of them
// (0: all). field is the list in an answer, cursor the field of an entry from which the
// next page goes on where the answer does not say it.
func (b *backEnd) pages(a *app, path []string, query url.Values, field, cursor string, limit int, each func(json.RawMessage) error) error {
	for n := 0; ; {
		var page map[string]json.RawMessage
		if err := b.call(a, http.MethodGet, path, query, nil, &page); err != nil {
			return err
		}
		var (
			entries []json.RawMessage
			more    bool
			next    string
		)
		if err := errors.Join(json.Unmarshal(page[field], &entries), json.Unmarshal(page["more"], &more)); err != nil {
			return fmt.Errorf("%s: an answer without %s: is the node as new as this program? (%w)", b.URL, field, err)
		}
		for _, e := range entries {
			if err := each(e); err != nil {
				return err
			}
			if n++; n == limit {
				return nil
			}
		}
		if !more || len(entries) == 0 {
			return nil
		}
		if text, ok := page["next"]; ok {
			if err := json.Unmarshal(text, &next); err != nil {
				return err
			}
		} else {
			var last map[string]json.RawMessage
			if err := errors.Join(json.Unmarshal(entries[len(entries)-1], &last), json.Unmarshal(last[cursor], &next)); err != nil {
				return err
			}
		}
		query.Set("after", next)
	}
}

// print prints an answer: as it is with --json, else as lines of a name and a value
// each, those without a value left out.
func (b *backEnd) print(a *app, answer json.RawMessage, lines func(line func(name, value string))) error {
	if b.JSON {
		_, err := fmt.Fprintln(a.stdout, strings.TrimSpace(string(answer)))
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	lines(func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, plain(value))
		}
	})
	return w.Flush()
}

// done prints what was done: a sentence, or with --json an object.
func (b *backEnd) done(a *app, object map[string]any, format string, args ...any) error {
	if !b.JSON {
		_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
		return err
	}
	text, err := json.Marshal(object)
	if err == nil {
		_, err = fmt.Fprintf(a.stdout, "%s\n", text)
	}
	return err
}

// table prints a list: a line of JSON for each entry with --json, else columns.
type table struct {
	b *backEnd
	w *tabwriter.Writer
	a *app
}

func (b *backEnd) table(a *app, columns ...string) *table {
	t := &table{b, tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0), a}
	if !b.JSON {
		fmt.Fprintln(t.w, strings.Join(columns, "\t"))
	}
	return t
}

// row prints an entry, whose cells are asked for where they are needed.
func (t *table) row(entry json.RawMessage, cells func() []string) error {
	if t.b.JSON {
		_, err := fmt.Fprintf(t.a.stdout, "%s\n", entry)
		return err
	}
	out := cells()
	for i := range out {
		if out[i] = plain(out[i]); out[i] == "" {
			out[i] = "-"
		}
	}
	_, err := fmt.Fprintln(t.w, strings.Join(out, "\t"))
	return err
}

// minute is a time of the node, on the clock of this machine.
func minute(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// aboutJSON checks the JSON of an application on the command line.
func aboutJSON(text *string) (json.RawMessage, error) {
	if text == nil {
		return nil, nil
	}
	if !json.Valid([]byte(*text)) {
		return nil, usageError("--data is no JSON; {} takes away what is there")
	}
	return json.RawMessage(*text), nil
}
