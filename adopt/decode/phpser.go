package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// phpser makes JSON of what PHP's serialize wrote. Arrays whose keys are 0, 1, 2… become
// arrays, all others and objects become objects in their order; the class of an object goes, and so
// do the marks of private properties. The empty text stays empty.
func phpser(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	p := &phpParser{rest: s}
	var out bytes.Buffer
	if err := p.value(&out, 0); err != nil {
		return "", err
	}
	if p.rest != "" {
		return "", errBroken
	}
	if out.Len() > maxJSON {
		return "", errBroken
	}
	return out.String(), nil
}

var errBroken = errors.New("this is not what PHP's serialize writes")

const (
	maxDepth = 64
	maxJSON  = 8 << 20
)

type phpParser struct{ rest string }

// until takes what stands before a separator.
func (p *phpParser) until(separator string) (string, error) {
	before, after, ok := strings.Cut(p.rest, separator)
	if !ok {
		return "", errBroken
	}
	p.rest = after
	return before, nil
}

// value writes the next value as JSON.
func (p *phpParser) value(out *bytes.Buffer, depth int) error {
	if depth > maxDepth || len(p.rest) < 2 || out.Len() > maxJSON {
		return errBroken
	}
	if strings.HasPrefix(p.rest, "N;") {
		p.rest = p.rest[2:]
		out.WriteString("null")
		return nil
	}
	kind := p.rest[0]
	if p.rest[1] != ':' {
		return errBroken
	}
	p.rest = p.rest[2:]
	switch kind {
	case 's', 'S':
		text, err := p.text()
		if err != nil || !strings.HasPrefix(p.rest, ";") {
			return errBroken
		}
		p.rest = p.rest[1:]
		return writeJSON(out, text)
	case 'a', 'O':
		return p.array(out, depth, kind == 'O')
	case 'E': // an enum: its name
		text, err := p.text()
		if err != nil || !strings.HasPrefix(p.rest, ";") {
			return errBroken
		}
		p.rest = p.rest[1:]
		return writeJSON(out, text)
	}
	text, err := p.until(";")
	if err != nil {
		return err
	}
	return scalar(out, kind, text)
}

func scalar(out *bytes.Buffer, kind byte, text string) error {
	switch kind {
	case 'b':
		return writeJSON(out, text == "1")
	case 'i', 'r', 'R':
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errBroken
		}
		if kind != 'i' {
			out.WriteString("null") // a reference to a value before
			return nil
		}
		return writeJSON(out, n)
	case 'd':
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errBroken
		}
		if b, err := json.Marshal(f); err == nil {
			out.Write(b)
			return nil
		}
		out.WriteString("null") // INF and NAN have no JSON
		return nil
	}
	return errBroken
}

// text takes 3:"abc"; its length is in bytes.
func (p *phpParser) text() (string, error) {
	length, err := p.until(`:"`)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n >= len(p.rest) || p.rest[n] != '"' {
		return "", errBroken
	}
	s := p.rest[:n]
	p.rest = p.rest[n+1:]
	if !utf8.ValidString(s) {
		s = repairUTF8(s)
	}
	return s, nil
}

// array writes an array or an object.
func (p *phpParser) array(out *bytes.Buffer, depth int, object bool) error {
	if object {
		if _, err := p.text(); err != nil || !strings.HasPrefix(p.rest, ":") {
			return errBroken
		}
		p.rest = p.rest[1:]
	}
	length, err := p.until(":{")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(p.rest)/2 {
		return errBroken
	}
	list := !object
	var keys, values []string
	for i := range n {
		var key, value bytes.Buffer
		if err := p.value(&key, maxDepth); err != nil {
			return err
		}
		if err := p.value(&value, depth+1); err != nil {
			return err
		}
		list = list && key.String() == strconv.Itoa(i)
		keys, values = append(keys, name(key.String())), append(values, value.String())
	}
	if !strings.HasPrefix(p.rest, "}") {
		return errBroken
	}
	p.rest = p.rest[1:]
	writeArray(out, list, keys, values)
	return nil
}

func writeArray(out *bytes.Buffer, list bool, keys, values []string) {
	brackets := "{}"
	if list {
		brackets = "[]"
	}
	out.WriteByte(brackets[0])
	for i, v := range values {
		if i > 0 {
			out.WriteByte(',')
		}
		if !list {
			out.WriteString(keys[i] + ":")
		}
		out.WriteString(v)
	}
	out.WriteByte(brackets[1])
}

// name makes the name of a field of a key in JSON: a text without the marks of private
// and protected properties, a number in quotes.
func name(key string) string {
	var s string
	if json.Unmarshal([]byte(key), &s) != nil {
		s = key
	}
	if s = s[strings.LastIndexByte(s, 0)+1:]; s == "" {
		s = "_"
	}
	b, err := json.Marshal(s)
	if err != nil {
		return `"_"`
	}
	return string(b)
}

func writeJSON(out *bytes.Buffer, v any) error {
	b, err := json.Marshal(v)
	out.Write(b)
	return err
}
