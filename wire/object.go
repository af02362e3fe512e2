package wire

import "encoding/json"

// DecodeObject reads one JSON object, such as a request body, by the rules of
// Decode: names are compared exactly, the last of two equal names counts, null is
// the same as absent, values nest at most 32 deep. It returns the values by name,
// without white space; they share no memory with b. The error is chat.Invalid.
func DecodeObject(b []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	err := scanObject(b, func(name, value []byte) {
		if v := raw(value); v != nil {
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
