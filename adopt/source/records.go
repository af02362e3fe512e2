package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/text/transform"

	"github.com/roomtide/roomtide/adopt/decode"
)

// openText opens a file as UTF-8 without a byte order mark.
func openText(file, charset string) (io.Closer, *bufio.Reader, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	var r io.Reader = f
	if charset != "" {
		e, err := decode.Charset(charset)
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		r = transform.NewReader(f, e.NewDecoder())
	}
	text := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := text.Peek(3); string(mark) == "\ufeff" {
		text.Discard(3) //nolint:errcheck // they were peeked
	}
	return f, text, nil
}

// csvRecords is RFC 4180 with a first line of names. What separates fields is the
// character of , ; tab and | that the first line has most of. \N and NULL are NULL.
type csvRecords struct {
	io.Closer
	names  []string
	reader *csv.Reader
}

func openCSV(file, charset string) (records, error) {
	c, text, err := openText(file, charset)
	if err != nil {
		return nil, err
	}
	r := &csvRecords{Closer: c, reader: csv.NewReader(text)}
	head, _ := text.Peek(1 << 12)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	r.reader.Comma = ','
	for _, separator := range ";\t|" {
		if bytes.Count(head, []byte(string(separator))) > bytes.Count(head, []byte(string(r.reader.Comma))) {
			r.reader.Comma = separator
		}
	}
	r.reader.LazyQuotes, r.reader.FieldsPerRecord = true, -1
	if r.names, err = r.reader.Read(); err != nil {
		c.Close()
		return nil, fmt.Errorf("its first line, with the names of the columns, cannot be read: %w", err)
	}
	for i, n := range r.names {
		if r.names[i] = strings.TrimSpace(n); r.names[i] == "" {
			r.names[i] = fmt.Sprintf("column%d", i+1)
		}
	}
	return r, nil
}

func (r *csvRecords) columns() []string { return r.names }

func (r *csvRecords) next() ([]any, error) {
	fields, err := r.reader.Read()
	if err != nil {
		return nil, err
	}
	if len(fields) > len(r.names) {
		line, _ := r.reader.FieldPos(len(r.names))
		return nil, fmt.Errorf("line %d has %d fields, and the first line names %d", line, len(fields), len(r.names))
	}
	values := make([]any, len(r.names))
	for i, f := range fields {
		if f != `\N` && f != "NULL" {
			values[i] = f
		}
	}
	return values, nil
}

// jsonRecords is one JSON object a line. Columns are all names there are, in the order in
// which they come. Values that are objects or arrays stay JSON.
type jsonRecords struct {
	io.Closer
	names  []string
	number map[string]int
	reader *bufio.Reader
	line   int
}

// maxLine bounds one line.
const maxLine = 16 << 20

func openJSONL(file, charset string) (records, error) {
	c, text, err := openText(file, charset)
	if err != nil {
		return nil, err
	}
	return &jsonRecords{Closer: c, number: map[string]int{}, reader: text}, nil
}

func (r *jsonRecords) columns() []string { return r.names }

func (r *jsonRecords) next() ([]any, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		return r.values(line)
	}
}

func (r *jsonRecords) readLine() (line []byte, err error) {
	r.line++
	for {
		part, err := r.reader.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", r.line, maxLine)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		}
		return line, err
	}
}

// values reads an object in its order.
func (r *jsonRecords) values(line []byte) ([]any, error) {
	bad := func(error) ([]any, error) { return nil, fmt.Errorf("line %d is not one JSON object", r.line) }
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad(err)
	}
	values := make([]any, len(r.names))
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return bad(err)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return bad(err)
		}
		i, known := r.number[name]
		if !known {
			i = len(r.names)
			r.number[name] = i
			r.names = append(r.names, name)
		}
		for len(values) <= i {
			values = append(values, nil)
		}
		if values[i], err = plainJSON(raw); err != nil {
			return bad(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return bad(err)
	}
	return values, nil
}

// plainJSON is a value as a column holds it.
func plainJSON(raw json.RawMessage) (any, error) {
	switch raw[0] {
	case 'n':
		return nil, nil
	case 't':
		return "1", nil
	case 'f':
		return "0", nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	return string(raw), nil
}
