package engineio

import (
	"encoding/json"
	"net/url"
	"strings"
)

// JSONP is how clients of protocol 3 poll from browsers without CORS: the
// answer is a script that calls ___eio[j] with the payload, and a body is the
// field d of a form.

// maxIndex bounds the digits of the client's number of the callback.
const maxIndex = 10

// jsonpIndex returns the callback's number, or "" if it is not one.
func jsonpIndex(j string) string {
	if len(j) > maxIndex || strings.Trim(j, "0123456789") != "" {
		return ""
	}
	return j
}

// encodeJSONP wraps a payload in a script. The encoder escapes what JSON allows
// in a string and a script does not (U+2028, U+2029), and the markup of HTML.
func encodeJSONP(index string, payload []byte) []byte {
	text, err := json.Marshal(string(payload))
	if err != nil { // a string: cannot be
		text = []byte(`""`)
	}
	script := append([]byte("___eio["+index+"]("), text...)
	return append(script, ");"...)
}

// unescapeLines undoes what clients do to newlines in a form field: a newline is
// sent as \n, a backslash before an n as two.
var unescapeLines = strings.NewReplacer(`\\n`, `\n`, `\n`, "\n")

// decodeJSONP returns the payload in the body of a form.
func decodeJSONP(body []byte) ([]byte, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["d"]) != 1 {
		return nil, errPacket
	}
	return []byte(unescapeLines.Replace(form.Get("d"))), nil
}
