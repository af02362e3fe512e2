package wire

import (
	"bytes"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

var refusedCases = []struct {
	name, text string
	id         int64 // the id the error carries, 0 for none
	kind       chat.Kind
	message    string
}{
	{"nothing", ``, 0, chat.Invalid, "not a JSON object"},
	{"not JSON", `hello`, 0, chat.Invalid, "not a JSON object"},
	{"an array", `[1]`, 0, chat.Invalid, "not a JSON object"},
	{"a string", `"x"`, 0, chat.Invalid, "not a JSON object"},
	{"null", `null`, 0, chat.Invalid, "not a JSON object"},
	{"cut", `{"type":"join","id":3,"room":"r`, 3, chat.Invalid, "not a JSON object"},
	{"two objects", `{"type":"ping","id":3}{}`, 3, chat.Invalid, "not a JSON object"},
	{"trailing comma", `{"type":"ping","id":3,}`, 3, chat.Invalid, "not a JSON object"},
	{"control character in a string", "{\"type\":\"ping\",\"room\":\"a\u0001\"}", 0, chat.Invalid, "not a JSON object"},
	{"brackets that do not match", `{"type":"ping","x":[}`, 0, chat.Invalid, "not a JSON object"},
	{"no type", `{"id":3,"room":"r"}`, 3, chat.Invalid, "type is missing"},
	{"empty", `{}`, 0, chat.Invalid, "type is missing"},
	{"type null", `{"type":null,"id":3}`, 3, chat.Invalid, "type is missing"},
	{"message null without type", `{"message":null,"id":3}`, 3, chat.Invalid, "type is missing"},
	{"unknown type", `{"type":"subscribe","id":3}`, 3, chat.UnknownType, "unknown type"},
	{"names are compared exactly", `{"Type":"ping","id":3}`, 3, chat.Invalid, "type is missing"},
	{"a type of the server", `{"type":"ack","id":3}`, 3, chat.UnknownType, "unknown type"},
	{"type a number", `{"type":5,"id":3}`, 3, chat.Invalid, "type must be a string"},
	{"id a string", `{"type":"ping","id":"3"}`, 0, chat.Invalid, "id must be a whole number"},
	{"id a fraction", `{"type":"ping","id":1.5}`, 0, chat.Invalid, "id must be a whole number"},
	{"id after the error", `{"type":"join","room":7.5,"id":3}`, 3, chat.Invalid, "room must be a string"},
	{"room an object", `{"type":"join","id":3,"room":{"$ne":1}}`, 3, chat.Invalid, "room must be a string"},
	{"user an array", `{"type":"hello","id":3,"user":["a"]}`, 3, chat.Invalid, "user must be a string"},
	{"token an object", `{"type":"hello","id":3,"token":{"$regex":".*"}}`, 3, chat.Invalid, "token must be a string"},
	{"message a number", `{"id":3,"room":"r","message":5}`, 3, chat.Invalid, "message must be a string"},
	{"seq 1e99", `{"type":"read","id":3,"seq":1e99}`, 3, chat.Invalid, "seq must be a whole number"},
	{"seq 1.0", `{"type":"read","id":3,"seq":1.0}`, 3, chat.Invalid, "seq must be a whole number"},
	{"seq too large", `{"type":"read","id":3,"seq":9223372036854775808}`, 3, chat.Invalid, "seq must be a whole number"},
	{"seq a text that is no number", `{"type":"read","id":3,"seq":"5."}`, 3, chat.Invalid, "seq must be a whole number"},
	{"on a number", `{"type":"typing","id":3,"on":1}`, 3, chat.Invalid, "on must be true or false"},
	{"after a name for join", `{"type":"join","id":3,"room":"r","after":"bob"}`, 3, chat.Invalid, "after must be a whole number"},
	{"after an object for members", `{"type":"members","id":3,"room":"r","after":{}}`, 3, chat.Invalid, "after must be a string"},
	{"role unknown", `{"type":"members","id":3,"room":"r","role":"king"}`, 3, chat.Invalid, "role must be member, moderator, owner, banned, muted or none"},
	{"of a word", `{"type":"users","id":3,"of":"ann"}`, 3, chat.Invalid, "of must be a list of user ids"},
	{"a byte order mark", "\ufeff{}", 0, chat.Invalid, "not a JSON object: it begins with a byte order mark (U+FEFF)"},
	{"NUL in data", `{"id":3,"message":"","data":{"a\u0000":1}}`, 3, chat.Invalid, "data has a NUL character"},
	{"a number in data that is out of range", `{"id":3,"message":"","data":[-1e999]}`, 3, chat.Invalid, "data has a number that is out of range"},
	{"set_room of a number", `{"type":"set_room","id":3,"room":"r","title":5}`, 3, chat.Invalid, "title must be a string"},
	{"set_member until a date", `{"type":"set_member","id":3,"room":"r","until":"tomorrow"}`, 3, chat.Invalid, "until must be a time, as RFC 3339 writes it"},
	{"set_member unban a text", `{"type":"set_member","id":3,"room":"r","unban":"yes"}`, 3, chat.Invalid, "unban must be true or false"},
	{"data nested too deeply", `{"id":3,"message":"","data":` + deep(maxDepth+1) + `}`, 3, chat.Invalid, "nested too deeply"},
}

func deep(n int) string {
	return string(bytes.Repeat([]byte("["), n)) + string(bytes.Repeat([]byte("]"), n))
}

func TestRefusedGolden(t *testing.T) {
	var made []golden
	for _, tt := range refusedCases {
		var cmd Command
		_ = Decode([]byte(tt.text), &cmd)
		if cmd.ID != tt.id {
			t.Errorf("%s: id %d, want %d", tt.name, cmd.ID, tt.id)
		}
		e := AppendError(nil, &cmd, chat.E(tt.kind, tt.message))
		made = append(made, golden{Name: tt.name, Text: tt.text, Error: e})
	}
	all := goldens(t, "refused.jsonl", made)
	for i, tt := range refusedCases {
		g := all[tt.name]
		if g.Text != tt.text || !bytes.Equal(g.Error, made[i].Error) {
			t.Errorf("%s: golden %+v", tt.name, g)
		}
		var cmd Command
		err := Decode([]byte(g.Text), &cmd)
		if err == nil {
			t.Errorf("%s: accepted as %+v", tt.name, cmd)
			continue
		}
		if got := AppendError(nil, &cmd, chat.Public(err)); !bytes.Equal(got, g.Error) {
			t.Errorf("%s: %s\nwant %s", tt.name, got, g.Error)
		}
	}
}
