package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// fields are the members of a body, which is always one JSON object and read by
// the same rules as a frame (wire.DecodeObject). Unknown names are ignored.
type fields map[string]json.RawMessage

// body reads the request's body: JSON, bounded in size. The server bounds its time.
func (c *call) body() (fields, error) {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, chat.E(chat.Invalid, "the Content-Type must be application/json")
	}
	limit := int64(c.cfg.Limits.FrameBytes)
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
	f, err := wire.DecodeObject(raw)
	if err != nil {
		return nil, chat.E(chat.Invalid, "the body is "+chat.Public(err).Text)
	}
	return f, nil
}

// get decodes a field into *v, which stays as it is when the field is missing.
// what completes the sentence "name must be …" of the error.
func (f fields) get(name, what string, v any) error {
	raw, ok := f[name]
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
	_, ok := f[name]
	return ok
}

// about reads the data that is kept about a user, a room or a member; nil: not given.
// An empty object, list or string is none.
func (f fields) about() *string {
	raw, ok := f["data"]
	if !ok {
		return nil
	}
	data := string(raw)
	if data == `{}` || data == `[]` || data == `""` {
		data = ""
	}
	return &data
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
