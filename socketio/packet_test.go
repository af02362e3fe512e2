package socketio_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/engineio"
	"github.com/roomtide/roomtide/socketio"
)

// decode gives a decoder a text and one attachment of a byte after the other
// until the packet is complete.
func decode(protocol int, text string) (*socketio.Packet, error) {
	d := socketio.Decoder{Protocol: protocol}
	p, err := d.Text([]byte(text))
	for i := byte(0); err == nil && p == nil; i++ {
		p, err = d.Binary([]byte{i})
	}
	return p, err
}

func TestDecode(t *testing.T) {
	type packet = socketio.Packet
	type message = socketio.Message
	args := func(list ...string) (raw []json.RawMessage) {
		for _, a := range list {
			raw = append(raw, json.RawMessage(a))
		}
		return raw
	}
	for _, c := range []struct {
		protocol int
		text     string
		want     packet
	}{
		{5, `0`, packet{Namespace: "/"}},
		{5, `0{"a":1}`, packet{Namespace: "/", Data: json.RawMessage(`{"a":1}`)}},
		{5, `0/chat`, packet{Namespace: "/chat"}},
		{5, `0/chat,{}`, packet{Namespace: "/chat", Data: json.RawMessage(`{}`)}},
		{5, `0/chat?a=b,`, packet{Namespace: "/chat?a=b"}},
		{4, `0/chat?a=b,`, packet{Namespace: "/chat", Query: "a=b"}},
		{4, `0/?a=b`, packet{Namespace: "/", Query: "a=b"}},
		{5, `1`, packet{Type: socketio.TypeDisconnect, Namespace: "/"}},
		{5, `1/chat,`, packet{Type: socketio.TypeDisconnect, Namespace: "/chat"}},
		{5, `2["a"]`, packet{Type: socketio.TypeEvent, Namespace: "/", Message: message{Name: "a"}}},
		{5, `2/chat,12["a",1,{"b":[2,3]}]`, packet{Type: socketio.TypeEvent, Namespace: "/chat", ID: 12, HasID: true, Message: message{Name: "a", Args: args("1", `{"b":[2,3]}`)}}},
		{5, `20["\u0061\"",","]`, packet{Type: socketio.TypeEvent, Namespace: "/", HasID: true, Message: message{Name: `a"`, Args: args(`","`)}}},
		{5, `29007199254740991["a"]`, packet{Type: socketio.TypeEvent, Namespace: "/", ID: 9007199254740991, HasID: true, Message: message{Name: "a"}}},
		{5, `31[]`, packet{Type: socketio.TypeAck, Namespace: "/", ID: 1, HasID: true}},
		{5, `3/chat,1["a",null]`, packet{Type: socketio.TypeAck, Namespace: "/chat", ID: 1, HasID: true, Message: message{Args: args(`"a"`, "null")}}},
		{5, `4{"message":"no"}`, packet{Type: socketio.TypeConnectError, Namespace: "/", Data: json.RawMessage(`{"message":"no"}`)}},
		{4, `4/chat,"no"`, packet{Type: socketio.TypeConnectError, Namespace: "/chat", Data: json.RawMessage(`"no"`)}},
		{5, `51-["a",{"num":0,"_placeholder":true}]`, packet{Type: socketio.TypeEvent, Namespace: "/", Message: message{Name: "a", Args: args(`{"num":0,"_placeholder":true}`), Attachments: [][]byte{{0}}}}},
		{5, `52-/chat,3["a",[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":0}}]]`, packet{Type: socketio.TypeEvent, Namespace: "/chat", ID: 3, HasID: true,
			Message: message{Name: "a", Args: args(`[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":0}}]`), Attachments: [][]byte{{0}, {1}}}}},
		{5, `51-["a",{"_placeholder":false,"num":7,"x":1},{"_placeholder":true,"num":0}]`, packet{Type: socketio.TypeEvent, Namespace: "/",
			Message: message{Name: "a", Args: args(`{"_placeholder":false,"num":7,"x":1}`, `{"_placeholder":true,"num":0}`), Attachments: [][]byte{{0}}}}},
		{5, `61-4[{"_placeholder":true,"num":0}]`, packet{Type: socketio.TypeAck, Namespace: "/", ID: 4, HasID: true, Message: message{Args: args(`{"_placeholder":true,"num":0}`), Attachments: [][]byte{{0}}}}},
		// without attachments it is data like any other
		{5, `2["a",{"_placeholder":true,"num":9}]`, packet{Type: socketio.TypeEvent, Namespace: "/", Message: message{Name: "a", Args: args(`{"_placeholder":true,"num":9}`)}}},
	} {
		p, err := decode(c.protocol, c.text)
		if err != nil || !reflect.DeepEqual(*p, c.want) {
			t.Errorf("%s:\n got %+v %v\nwant %+v", c.text, p, err, c.want)
			continue
		}
		again, err := decode(c.protocol, string(socketio.AppendPacket(nil, p)))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%s was encoded as %s: %v", c.text, socketio.AppendPacket(nil, p), err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for name, texts := range map[string][]string{
		"nothing":      {"", " ", "\xff"},
		"unknown type": {"7", "9", "a", "-", "abc", "٣"},
		"CONNECT":      {`0[]`, `0"a"`, `01{}`, `0{`, `0{}x`, `0/chat,x`, "0/a\x1eb", "0/a\nb", "0/" + long, "0/a?" + long},
		"DISCONNECT":   {`1{}`, `11`, `1/chat,[]`},
		"EVENT":        {`2`, `2{}`, `2"a"`, `2[`, `2["a"`, `2["a"]]`, `2["a",]`, `2["a" 1]`, `2abc["a"]`, `2/chat,x["a"]`, "2[\"a\",\"\xff\"]", "2[\"a\nb\"]"},
		"ACK":          {`3`, `3[]`, `31`, `31{}`, `31"a"`, `3-1[]`, `31.5[]`},
		"id":           {`29007199254740992["a"]`, `2` + strings.Repeat("9", 100) + `["a"]`, `218446744073709551617["a"]`},

		"CVE-2020-36048, -36049: exhaustion": {`2["a"` + strings.Repeat(",1", 1001) + `]`, `2["a",` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `]`},
		"CVE-2022-2421: placeholders": {
			`51-["a",{"_placeholder":true,"num":-1}]`, `51-["a",{"_placeholder":true,"num":0.5}]`, `51-["a",{"_placeholder":true,"num":0.0}]`,
			`51-["a",{"_placeholder":true,"num":"0"}]`, `51-["a",{"_placeholder":true,"num":1}]`, `51-["a",{"_placeholder":true,"num":1e0}]`,
			`51-["a",{"_placeholder":true,"num":"splice"}]`, `51-["a",{"_placeholder":true}]`, `51-["a",{"_placeholder":true,"num":null}]`,
			`51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, `52-["a",{"_placeholder":true,"num":0}]`, `51-["a"]`,
			`51-["a",{"_placeholder":true,"num":{"_placeholder":true,"num":0}}]`, `51-["a",{"_placeholder":true,"num":0,"x":1}]`,
			`51-["a",{"_placeholder":{"_placeholder":true,"num":0},"num":0}]x`, `51-["a",{"_placeh\u006flder":true,"num":5},{"_placeholder":true,"num":0}]`,
			`51-["a",{"_placeholder":true,"num":0,"num":7}]`, `51-["a",{"_placeholder":true,"num":18446744073709551616}]`,
		},
		"CVE-2023-32695: names": {
			`2[]`, `2[null]`, `2[{}]`, `2[["a"]]`, `2[true]`, `2[{"toString":"foo"}]`,
			`2["connect"]`, `2["connect_error"]`, `2["disconnect"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`, `2["\u0063onnect"]`,
		},
		"CVE-2026-33151: attachments": {
			`55999999999-["a"]`, `511-["a"]`, `50-["a",1]`, `5-["a"]`, `5["a"]`, `51["a"]`, `5-1-["a"]`, `5+1-["a"]`, `51.0-["a"]`, `51e0-["a"]`,
			`5` + long, `61-[]`, `6["a"]`, `699-1[]`, `5 1-["a"]`, `51`, `51-`,
		},
	} {
		for _, text := range texts {
			for _, protocol := range []int{4, 5} {
				if p, err := decode(protocol, text); err == nil {
					t.Errorf("%s: %.80q became %+v", name, text, p)
				}
			}
		}
	}
}

// The header and its attachments come one right behind the other, and within bounds.
func TestDecoderSequence(t *testing.T) {
	header := `52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
	d := socketio.Decoder{MaxBytes: 10}
	if _, err := d.Binary([]byte("x")); err == nil {
		t.Error("took an attachment without a packet")
	}
	if p, err := d.Text([]byte(header)); p != nil || err != nil || !d.Waiting() {
		t.Fatal(p, err, d.Waiting())
	}
	if _, err := d.Text([]byte(`2["b"]`)); err == nil {
		t.Error("took text between attachments")
	}
	if p, err := d.Binary([]byte("12345")); p != nil || err != nil {
		t.Fatal(p, err)
	}
	if p, err := d.Binary([]byte("67890")); p == nil || err != nil || d.Waiting() || len(p.Attachments) != 2 {
		t.Fatal(p, err)
	}
	if _, err := d.Text([]byte(header)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Binary([]byte("12345678901")); err == nil || d.Waiting() {
		t.Error("took too many bytes, or kept them")
	}
}

// A packet must not cost more than in proportion to its size.
func TestDecodeCost(t *testing.T) {
	for name, text := range map[string]string{
		"many arguments":    `2["a"` + strings.Repeat(`,""`, 1000) + `]`,
		"too many":          `2["a"` + strings.Repeat(`,1`, 200_000) + `]`,
		"deep":              `2["a",` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + `]`,
		"deep, with binary": `51-["a",` + strings.Repeat("[", 5_000) + `{"_placeholder":true,"num":0}` + strings.Repeat("]", 5_000) + `]`,
		"long name":         `2["` + strings.Repeat(`\n`, 100_000) + `"]`,
		"no comma":          `0/` + strings.Repeat("a", 500_000),
		"objects":           `51-["a",[` + strings.Repeat(`{"_placeholder":false,"num":1},`, 10_000) + `{"_placeholder":true,"num":0}]]`,
	} {
		if n := allocatedBy(func() { decode(5, text) }); n > 100*uint64(len(text))+10_000 {
			t.Errorf("%s: %d bytes cost %d", name, len(text), n)
		}
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{socketio.AppendEvent(nil, "/", "message", []byte(`{"a":1}`)), `2["message",{"a":1}]`},
		{socketio.AppendEvent(nil, "/chat", "a\"é\x1e", []byte("1"), []byte("2")), `2/chat,["a\"é\u001e",1,2]`},
		{socketio.AppendEvent(nil, "", "[", nil...), `2["["]`},
		{socketio.AppendAck(nil, "/", 0), `30[]`},
		{socketio.AppendAck(nil, "/chat", 12, []byte("1"), []byte(`"x"`)), `3/chat,12[1,"x"]`},
	} {
		if want := engineio.AppendFrame(nil, []byte(c.want)); !bytes.Equal(c.got, want) {
			t.Errorf("got %q, want %q", c.got, want)
		}
	}
	if got := socketio.AppendEvent([]byte("before"), "/", "a"); string(got) != "before\x81\x074"+`2["a"]` {
		t.Errorf("%q", got)
	}
}

func TestNewMessage(t *testing.T) {
	m, err := socketio.NewMessage("a", 1, "<é>", nil, json.RawMessage(`1.0`), []byte{1}, map[string]int{"x": 2}, []byte{2})
	if err != nil {
		t.Fatal(err)
	}
	want := `52-["a",1,"<é>",null,1.0,{"_placeholder":true,"num":0},{"x":2},{"_placeholder":true,"num":1}]`
	p := socketio.Packet{Type: socketio.TypeEvent, Message: m}
	if got := socketio.AppendPacket(nil, &p); string(got) != want {
		t.Errorf("%s", got)
	}
	for i, want := range []string{"", "", "", "", "\x01", "", "\x02", ""} {
		if got, ok := m.Attachment(i); string(got) != want || ok != (want != "") {
			t.Errorf("attachment %d: %q %v", i, got, ok)
		}
	}
	if _, err := socketio.NewMessage("a", make(chan int)); err == nil {
		t.Error("a channel became JSON")
	}
}

func FuzzDecoder(f *testing.F) {
	for _, text := range []string{
		`0`, `0/chat,{"token":"x"}`, `0/chat?token=x&y=z,`, `1/chat,`, `2["a",1,"2",{"3":[true]}]`, `2/chat,456["a"]`, `3/chat,12[]`, `4{"message":"no"}`,
		`51-["a",{"_placeholder":true,"num":0}]`, `52-/chat,7["a",[{"num":1,"_placeholder":true}],{"x":{"_placeholder":true,"num":0}}]`,
		`61-0[{"_placeholder":true,"num":0}]`, `55999999999-["a"]`, `51-["a",{"_placeholder":true,"num":"splice"}]`, `2["connect"]`, "2[ \"a\\u0000\" ,\t1 ]",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, old bool) {
		protocol := 5
		if old {
			protocol = 4
		}
		p, err := decode(protocol, text)
		if err != nil {
			return
		}
		if len(p.Namespace) > socketio.MaxNamespace || len(p.Args) > socketio.MaxArgs || len(p.Attachments) > socketio.MaxAttachments || p.ID > socketio.MaxID {
			t.Fatalf("out of bounds: %+v", p)
		}
		encoded := string(socketio.AppendPacket(nil, p))
		again, err := decode(protocol, encoded)
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%q became %+v, then %q, then %+v %v", text, p, encoded, again, err)
		}
		if !json.Valid([]byte("[" + strings.Join(texts(p.Args), ",") + "]")) {
			t.Fatalf("the arguments of %q are not JSON", text)
		}
		if i := strings.IndexFunc(encoded, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r", r) }); i >= 0 {
			t.Fatalf("cannot be sent over polling: %q", encoded)
		}
	})
}

func texts(args []json.RawMessage) (list []string) {
	for _, a := range args {
		list = append(list, string(a))
	}
	return list
}
