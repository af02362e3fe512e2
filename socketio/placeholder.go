package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// Placeholder is the JSON text that stands for Attachments[n].
func Placeholder(n int) json.RawMessage {
	return append(strconv.AppendInt([]byte(`{"_placeholder":true,"num":`), int64(n), 10), '}')
}

var errPlaceholder = bad("a placeholder does not fit the attachments")

// checkPlaceholders makes sure that the placeholders in args, at whatever depth,
// name each of n attachments once and nothing else. It runs in both directions:
// an argument that is passed on from one client could otherwise hold a
// placeholder that breaks the decoder of another.
func checkPlaceholders(args []json.RawMessage, n int) error {
	seen := make([]bool, n)
	left := n
	for _, arg := range args {
		w := placeholderWalk{seen: seen}
		if err := w.walk(arg); err != nil {
			return err
		}
		left -= w.found
	}
	if left != 0 {
		return errPlaceholder
	}
	return nil
}

// maxDepth bounds what the walk has to remember.
const maxDepth = 500

// container is an object or an array that has begun.
type container struct {
	object bool
	key    string // of the value that comes next
	value  bool   // a value comes next, not a key
	keys   int
	marked bool        // "_placeholder": true
	num    json.Number // "num", when it is a number
}

// placeholderWalk goes through one JSON text once, token by token.
type placeholderWalk struct {
	seen  []bool
	found int
	stack []container
}

func (w *placeholderWalk) walk(arg []byte) error {
	d := json.NewDecoder(bytes.NewReader(arg))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bad("an argument is not JSON")
		}
		if err := w.token(tok); err != nil {
			return err
		}
	}
}

func (w *placeholderWalk) token(tok json.Token) error {
	delim, _ := tok.(json.Delim)
	if delim == '}' || delim == ']' {
		top := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		return w.end(&top)
	}
	if len(w.stack) > 0 {
		top := &w.stack[len(w.stack)-1]
		if key, ok := tok.(string); ok && top.object && !top.value {
			top.key, top.value = key, true
			top.keys++
			return nil
		}
		top.set(tok)
	}
	if delim != 0 {
		if len(w.stack) == maxDepth {
			return bad("the arguments of a packet with attachments are nested too deeply")
		}
		w.stack = append(w.stack, container{object: delim == '{'})
	}
	return nil
}

// set notes a value. Of two values with one key the last one counts, as in JavaScript.
func (c *container) set(tok json.Token) {
	c.value = false
	switch c.key {
	case "_placeholder":
		c.marked = tok == true
	case "num":
		c.num, _ = tok.(json.Number)
	}
}

// end checks an object when it is complete. One that is not marked is data.
func (w *placeholderWalk) end(c *container) error {
	if !c.marked {
		return nil
	}
	num, err := strconv.ParseUint(string(c.num), 10, 8)
	if err != nil || c.keys != 2 || num >= uint64(len(w.seen)) || w.seen[num] {
		return errPlaceholder
	}
	w.seen[num] = true
	w.found++
	return nil
}
