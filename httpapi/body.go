package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// fields are the members of a body, which is one JSON object and read by the same
// rules as a frame (wire.DecodeObject).
type fields struct{ wire.Object }

// body reads the request's body: JSON, bounded in size; the server bounds its time. No
// body and the empty array, which is how PHP writes an empty object, are the empty
// object. A name that the specification does not have for this operation is refused.
func (c *call) body() (fields, error) { return c.bodyUpTo(0) }

// bodyUpTo is body for one that may be larger than others.
func (c *call) bodyUpTo(most int) (fields, error) {
	raw, err := c.read(int64(max(most, c.cfg.Limits.FrameBytes)))
	if err != nil {
		return fields{}, err
	}
	if s := string(bytes.TrimSpace(raw)); s == "" || s == "[]" {
		return fields{}, nil
	}
	if err := c.checkMedia(); err != nil {
		return fields{}, err
	}
	object, err := wire.DecodeObject(raw)
	if err != nil {
		return fields{}, chat.E(chat.Invalid, "the body is "+chat.Public(err).Text)
	}
	return fields{object}, c.checkNames("field", maps.Keys(object), c.op.fields)
}

// checkMedia refuses a body that does not say that it is JSON. A page of another
// origin can send any other kind without asking first.
func (c *call) checkMedia() error {
	if enc := c.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return unsupported("the body is compressed; send it without Content-Encoding")
	}
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return nil
	case kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data":
		return unsupported("the body is a form; send JSON, with the Content-Type application/json")
	}
	return unsupported("the Content-Type must be application/json")
}

// read reads the request's body, bounded in size.
func (c *call) read(limit int64) ([]byte, error) {
	tooLarge := chat.E(chat.TooLarge, "the body is larger than "+strconv.FormatInt(limit, 10)+" bytes")
	if c.r.ContentLength > limit {
		return nil, tooLarge
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	if over := (*http.MaxBytesError)(nil); errors.As(err, &over) {
		return nil, tooLarge
	}
	if err != nil {
		c.w.Header().Set("Connection", "close") // the rest of the body may still arrive
		return nil, &chat.Error{Kind: chat.Invalid, Op: "httpapi.body", Text: "the body did not come in whole and in time", Err: err}
	}
	return raw, nil
}

// get decodes a field into *v, which stays as it is when the field is missing.
// what completes the sentence "name must be …" of the error.
func (f fields) get(name, what string, v any) error {
	raw, ok := f.Object[name]
	if !ok {
		return nil
	}
	if json.Unmarshal(raw, v) != nil {
		return chat.E(chat.Invalid, name+" must be "+what)
	}
	return nil
}

// has reports whether the field is there; one that is null is not.
func (f fields) has(name string) bool {
	_, ok := f.Object[name]
	return ok
}

// bodyAbout is body, and reads the data that is kept about a user, a room or a member
// into about; nil: not given.
func (c *call) bodyAbout(about **string) (fields, error) {
	f, err := c.body()
	if err != nil {
		return f, err
	}
	data, err := f.Data("data")
	*about = chat.About(data)
	return f, err
}

// seq reads a field that is a message number, 0 when it is missing.
func (f fields) seq(name string) (chat.Seq, error) {
	n, _, err := f.Number(name)
	return chat.Seq(n), err
}

// seq reads the {seq} of the path.
func (c *call) seq() (chat.Seq, error) {
	n, err := strconv.ParseInt(c.r.PathValue("seq"), 10, 64)
	if err != nil || n <= 0 {
		return 0, chat.E(chat.Invalid, "seq is not a message number")
	}
	return chat.Seq(n), nil
}

// number reads a number from the query, 0 when it is missing.
func (c *call) number(name string) (int64, error) {
	s := c.r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, chat.E(chat.Invalid, name+" is not a number")
	}
	return n, nil
}

// flag reads a boolean from the query, nil when it is missing.
func (c *call) flag(name string) (*bool, error) {
	var on bool
	switch c.r.URL.Query().Get(name) {
	case "":
		return nil, nil
	case "true":
		on = true
	case "false":
	default:
		return nil, chat.E(chat.Invalid, name+" must be true or false")
	}
	return &on, nil
}

// limit reads ?limit=, 0 when it is missing. The engine reduces it to most, which the
// client is told.
func (c *call) limit(most int) (int, error) {
	n, err := c.number("limit")
	if n > int64(most) {
		tellLimit(c.w.Header(), most)
	}
	return int(min(n, 1<<20)), err
}
