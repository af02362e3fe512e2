package wire

import "encoding/json"

// Object is the members of one JSON object by name, such as a request body, read by
// the rules of Decode: names are compared exactly, the last of two equal names
// counts, null is the same as absent, values nest at most 32 deep. Values have no
// white space and share no memory with what was read.
type Object map[string]json.RawMessage

// DecodeObject reads an Object. The error is chat.Invalid.
func DecodeObject(b []byte) (Object, error) {
	fields := make(Object)
	err := scanObject(b, func(name, value []byte) {
		if v := compact(value); v != nil {
			fields[string(name)] = v
		} else {
			delete(fields, string(name))
		}
	})
	if err != nil {
		return nil, err
	}
	return fields, nil
}

// ID returns the member where an id or a key is meant: a text, or a whole number,
// which is its decimal text. It is empty if there is none. The error is
// chat.Invalid, naming the member.
func (o Object) ID(name string) (string, error) {
	v, ok := o[name]
	if !ok {
		return "", nil
	}
	var d decoder
	return id[string](&d, name, v), d.err
}

// Number returns the member where a whole number is meant, which may be written as a
// text; ok is false if there is none. The error is chat.Invalid, naming the member.
func (o Object) Number(name string) (n int64, ok bool, err error) {
	v, ok := o[name]
	if !ok {
		return 0, false, nil
	}
	var d decoder
	n, ok = d.number(name, v)
	return n, ok, d.err
}

// Data returns the member as opaque JSON in canonical form, nil if there is none.
// The error is chat.Invalid.
func (o Object) Data(name string) (json.RawMessage, error) {
	v, ok := o[name]
	if !ok {
		return nil, nil
	}
	return canonical(v)
}

// List returns the elements of the member where an array is meant, none if there is no
// member; ok is false if it is something else. They share memory with the Object.
func (o Object) List(name string) (items [][]byte, ok bool) {
	v := o[name]
	if len(v) == 0 || v[0] != '[' {
		return nil, v == nil
	}
	for i := 1; v[i] != ']'; {
		if v[i] == ',' {
			i++
		}
		end := valueEnd(v, i)
		items = append(items, v[i:end])
		i = end
	}
	return items, true
}

// valueEnd is where a value ends that begins at i in an array. It is valid, and has no
// white space.
func valueEnd(v []byte, i int) int {
	for depth := 0; ; {
		switch v[i] {
		case '"':
			s := scanner{b: v, i: i}
			i, _ = s.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
}

// compact copies a checked value without white space. nil: the value is null.
func compact(v []byte) json.RawMessage {
	if string(v) == "null" {
		return nil
	}
	out := make([]byte, 0, len(v))
	for s := (scanner{b: v}); s.i < len(v); {
		switch v[s.i] {
		case '"':
			end, _ := s.quoted()
			out = append(out, v[s.i:end]...)
			s.i = end
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			out = append(out, v[s.i])
			s.i++
		}
	}
	return out
}
