package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// Values that differ in white space and escapes alone are one, which every common
// decoder can read.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		` { "a" : [ 1 , null ] } `:            `{"a":[1,null]}`,
		`"\u4e2d\u6587\/\u003c\t"`:            `"中文/<\t"`,
		`{"\u0061":"\ud83d\udc4d"}`:           `{"a":"👍"}`,
		`{"cut":"abc\ud83d"}`:                 `{"cut":"abc` + "\ufffd" + `"}`,
		`["\udc00\ud83d"]`:                    `["` + "\ufffd\ufffd" + `"]`,
		`{"\ud83d":1}`:                        `{"` + "\ufffd" + `":1}`,
		`"\u2028"`:                            `"\u2028"`,
		"\"\u2028\"":                          `"\u2028"`,
		"\"\u201c\"":                          "\"\u201c\"",
		`"\b\f\u001f\"\\"`:                    `"\u0008\u000c\u001f\"\\"`,
		`{"b":1,"a":2,"b":3}`:                 `{"b":1,"a":2,"b":3}`,
		`[1.50,-0,1E5,1e-999,true,false]`:     `[1.50,-0,1E5,1e-999,true,false]`,
		`" space in a string : , "`:           `" space in a string : , "`,
		`0.` + strings.Repeat("1", 400):       `0.` + strings.Repeat("1", 400),
		`[` + strings.Repeat("9", 308) + `]`:  `[` + strings.Repeat("9", 308) + `]`,
		`12345678901234567890123456789012345`: `12345678901234567890123456789012345`,
	} {
		got, err := canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`"\u0000"`, `{"\u0000a":1}`, `["a\u0000"]`, `1e999`, `[-1e309]`, `{"a":` + strings.Repeat("9", 400) + `}`} {
		if got, err := canonical([]byte(in)); err == nil || chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s became %s, %v", in, got, err)
		}
	}
}

// A retry whose program writes JSON in another way is the same message.
func TestRetriesInAnotherSpelling(t *testing.T) {
	digest := func(frame string) int64 {
		var cmd Command
		if err := Decode([]byte(frame), &cmd); err != nil {
			t.Fatal(err)
		}
		d := chat.Draft{Text: cmd.Text, Data: cmd.Data}
		return d.Digest()
	}
	first := digest(`{"message":"中","data":{"order":"中文/1","paid":true}}`)
	for _, again := range []string{
		"{\"message\":\"\\u4e2d\", \"data\": {\n  \"order\": \"\\u4e2d\\u6587\\/1\",\n  \"paid\": true\n}}",
		`{"data":{"\u006frder":"中文\u002f1","paid":true},"message":"中"}`,
	} {
		if digest(again) != first {
			t.Errorf("%s is another message", again)
		}
	}
	if digest(`{"message":"中","data":{"order":"中文/1","paid":false}}`) == first {
		t.Error("another content is the same message")
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\ud83d",-1.5e3]}`, `"\u0000"`, "\"\u2029\"", `1e999`, ` [ ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var value any
		if scanObject(append(append([]byte(`{"data":`), in...), '}'), func(_, v []byte) { in = v }) != nil || json.Unmarshal(in, &value) != nil {
			return
		}
		out, err := canonical(in)
		if err != nil {
			return
		}
		var got any
		if err := json.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s became %s: %v", in, out, err)
		}
		if again, err := canonical(out); err != nil || string(again) != string(out) {
			t.Errorf("%s became %s became %s: %v", in, out, again, err)
		}
	})
}

// Ids as PHP has them, numbers as forms have them.
func TestNumbersAndTexts(t *testing.T) {
	for in, want := range map[string]Command{
		`{"type":"join","room":1}`:                                      {Type: Join, Room: "1"},
		`{"type":"message","room":7,"user":1001,"key":-5,"message":""}`: {Type: Message, Room: "7", User: "1001", Key: "-5", HasText: true},
		`{"type":"members","room":"r","after":1001}`:                    {Type: Members, Room: "r", AfterID: "1001"},
		`{"after":"9","type":"members"}`:                                {Type: Members, AfterID: "9"},
		`{"type":"set_member","room":1,"member":2,"role":"member"}`:     {Type: SetMember, Room: "1", Member: "2", Role: chat.RoleMember, HasRole: true},
		`{"type":"read","seq":"5"}`:                                     {Type: Read, Seq: 5},
		`{"after":"7","type":"join"}`:                                   {Type: Join, After: 7, HasAfter: true},
		`{"type":"history","before":"100","limit":"10"}`:                {Type: History, Before: 100, HasBefore: true, Limit: 10},
		`{"type":"message","message":"","reply_to":"3"}`:                {Type: Message, HasText: true, ReplyTo: 3},
	} {
		var got Command
		if err := Decode([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %+v, want %+v", in, err, got, want)
		}
	}
	for _, in := range []string{`{"type":"join","room":1.0}`, `{"type":"join","room":1e3}`, `{"type":"join","room":true}`, `{"type":"read","seq":"5 "}`, `{"type":"read","seq":""}`,
		`{"type":"read","seq":"0x5"}`, `{"type":"message","message":5}`, `{"type":"hello","token":5}`, `{"type":"ping","id":"5"}`} {
		var got Command
		if err := Decode([]byte(in), &got); err == nil {
			t.Errorf("%s is %+v", in, got)
		}
	}
}

// What stands for an object where the name of the command is known from elsewhere.
func TestDecodeAsOfNoObject(t *testing.T) {
	for _, tt := range []struct {
		typ  Type
		in   string
		want Command
	}{
		{Rooms, ` [] `, Command{Type: Rooms}},
		{Rooms, `null`, Command{Type: Rooms}},
		{Join, `"room1"`, Command{Type: Join, Room: "room1"}},
		{Join, `"\u0061"`, Command{Type: Join, Room: "a"}},
		{Leave, `7`, Command{Type: Leave, Room: "7"}},
		{Message, `"Hello"`, Command{Type: Message, Text: "Hello", HasText: true, Alone: true}},
	} {
		var got Command
		if err := DecodeAs(tt.typ, []byte(tt.in), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %s: %v %+v", tt.typ, tt.in, err, got)
		}
	}
	for typ, in := range map[Type]string{React: `"r"`, Hello: `"token"`, Message: `5`, Join: `[1]`, Leave: `"cut`, Typing: `true`, Members: "\"\xff\""} {
		var got Command
		if err := DecodeAs(typ, []byte(in), &got); chat.KindOf(err) != chat.Invalid || err == nil {
			t.Errorf("%s %s: %v %+v", typ, in, err, got)
		}
	}
	var got Command
	if err := Decode([]byte(`[]`), &got); err == nil {
		t.Error("a frame that is an array is a command")
	}
}
