package socketio

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// Binary is binary data anywhere in the arguments of an event: NewMessage makes an
// attachment of it, and Message.Decode fills it in. Elsewhere it is JSON as []byte
// is, behind a mark.
type Binary []byte

// mark begins the JSON string that stands for a Binary until NewMessage finds it.
// Nothing that was received can hold it.
var mark = "binary " + rand.Text() + " "

// MarshalJSON makes the string that NewMessage replaces.
func (b Binary) MarshalJSON() ([]byte, error) {
	out := append([]byte{'"'}, mark...)
	return append(base64.StdEncoding.AppendEncode(out, b), '"'), nil
}

// UnmarshalJSON reads base64, with or without mark.
func (b *Binary) UnmarshalJSON(text []byte) error {
	var s []byte
	text = bytes.Replace(text, []byte(`"`+mark), []byte(`"`), 1)
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*b = s
	return nil
}

// attach replaces the marks in JSON that marshal made by placeholders.
func (m *Message) attach(text []byte) (json.RawMessage, error) {
	quoted := []byte(`"` + mark)
	if !bytes.Contains(text, quoted) {
		return text, nil
	}
	var out []byte
	for {
		before, rest, found := bytes.Cut(text, quoted)
		out = append(out, before...)
		if !found {
			return out, nil
		}
		encoded, rest, _ := bytes.Cut(rest, []byte{'"'})
		data, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if err != nil {
			return nil, err
		}
		out = append(out, Placeholder(len(m.Attachments))...)
		m.Attachments = append(m.Attachments, data)
		text = rest
	}
}

// Decode unmarshals Args[i]. A []byte or Binary, at whatever depth, gets the
// attachment that belongs there; any other type gets its base64.
func (m *Message) Decode(i int, v any) error {
	if i < 0 || i >= len(m.Args) {
		return bad("there is no argument " + strconv.Itoa(i))
	}
	text := m.Args[i]
	if len(m.Attachments) > 0 {
		var err error
		if text, err = m.inline(text); err != nil {
			return err
		}
	}
	return json.Unmarshal(text, v)
}

// inline replaces placeholders by base64.
func (m *Message) inline(text []byte) ([]byte, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("socketio: %w", err)
	}
	return marshal(m.fill(v))
}

func (m *Message) fill(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = m.fill(v[i])
		}
	case map[string]any:
		if num, ok := v["num"].(json.Number); ok && v["_placeholder"] == true {
			if n, err := strconv.Atoi(string(num)); err == nil && n >= 0 && n < len(m.Attachments) {
				return m.Attachments[n]
			}
		}
		for k := range v {
			v[k] = m.fill(v[k])
		}
	}
	return v
}
