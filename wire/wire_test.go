package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

func TestDecodeTolerates(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Command
	}{
		{"white space", " {\n\"type\" :\t\"join\" , \"room\" : \"r\" }\r\n", Command{Type: Join, Room: "r"}},
		{"the last of two counts", `{"type":"leave","room":"a","type":"join","room":"b"}`, Command{Type: Join, Room: "b"}},
		{"the last after counts", `{"type":"join","after":"u","after":7}`, Command{Type: Join, After: 7, HasAfter: true}},
		{"unknown names", `{"type":"ping","x":{"type":"join","a":["}"]},"y":-1.5e-3,"Room":"r"}`, Command{Type: Ping}},
		{"names of earlier versions", `{"type":"hello","user":"u","client":"web/1","device":7,"attachments":["a1"]}`, Command{Type: Hello, User: "u"}},
		{"null is absent", `{"type":"join","id":null,"room":"r","after":null,"on":null,"data":null,"seq":null,"user":null}`, Command{Type: Join, Room: "r"}},
		{"escapes in names and values", `{"t\u0079pe":"jo\u0069n","room":"\ud83d\udc4d\/\""}`, Command{Type: Join, Room: `👍/"`}},
		{"half a surrogate pair", `{"type":"join","room":"\ud83d"}`, Command{Type: Join, Room: "\ufffd"}},
		{"negative zero", `{"type":"read","seq":-0}`, Command{Type: Read}},
		{"data on one line", "{\"message\":\"\",\"data\": {\n \"a\" : \"b c\\n\" }}", Command{Type: Message, Bare: true, HasText: true, Data: json.RawMessage(`{"a":"b c\n"}`)}},
		{"data as deep as allowed", `{"message":"","data":` + deep(maxDepth) + `}`, Command{Type: Message, Bare: true, HasText: true, Data: json.RawMessage(deep(maxDepth))}},
		{"empty type", `{"type":"","message":"m"}`, Command{Type: Message, Bare: true, Text: "m", HasText: true}},
	} {
		got := Command{Room: "left over", HasID: true}
		if err := Decode([]byte(tt.in), &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v %+v, want %+v", tt.name, err, got, tt.want)
		}
	}
}

// Bytes that are not UTF-8 are refused wherever they stand.
func TestDecodeRefusesBadUTF8(t *testing.T) {
	for _, in := range []string{"{\"message\":\"\xff\"}", "{\"message\":\"m\",\"\xff\":1}", "{\"message\":\"m\",\"data\":\"\xed\xa0\x80\"}", "{\"message\":\"m\"}\xff"} {
		var cmd Command
		if err := Decode([]byte(in), &cmd); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestDecodeObject(t *testing.T) {
	got, err := DecodeObject([]byte(" {\"a\":1, \"\\u0061\":{ \"b\" : [ true ] }, \"c\":\"x\", \"c\":null, \"d\":null, \"D\":-1.5e3}\n"))
	want := Object{"a": json.RawMessage(`{"b":[true]}`), "D": json.RawMessage(`-1.5e3`)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %s, want %s", err, got, want)
	}
	for _, in := range []string{``, `null`, `[]`, `{"a":1}x`, `{"a":` + deep(maxDepth+1) + `}`, "{\"a\":\"\xff\"}"} {
		if got, err := DecodeObject([]byte(in)); got != nil || chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q: %v %s", in, err, got)
		}
	}
}

func TestDecodeAs(t *testing.T) {
	var cmd Command
	if err := DecodeAs(Join, []byte(`{"type":["ignored"],"room":"r","message":"m"}`), &cmd); err != nil || cmd.Type != Join || cmd.Room != "r" {
		t.Errorf("%v %+v", err, cmd)
	}
	if err := DecodeAs("disconnect", []byte(`{}`), &cmd); chat.KindOf(err) != chat.UnknownType {
		t.Errorf("unknown name: %v", err)
	}
}

// What a command holds does not change when the frame's bytes are used again.
func TestDecodeCopies(t *testing.T) {
	frame := []byte(`{"type":"message","room":"room1","message":"text","data":{"a":1}}`)
	var cmd Command
	if err := Decode(frame, &cmd); err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = '#'
	}
	if cmd.Room != "room1" || cmd.Text != "text" || string(cmd.Data) != `{"a":1}` {
		t.Errorf("%+v", cmd)
	}
}

// A decoder does not quote what it refuses: it may be a token or a message.
func TestErrorsHoldNoInput(t *testing.T) {
	const secret = "s3cr3t"
	for _, in := range []string{`{"type":"` + secret + `"}`, `{"token":"` + secret, `{"type":"hello","token":["` + secret + `"]}`, secret, `{"` + secret + `":tru}`} {
		var cmd Command
		if err := Decode([]byte(in), &cmd); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// Only the public part of an error is told.
func TestAppendErrorHidesCause(t *testing.T) {
	e := chat.Wrap(chat.Internal, "store.open", &json.SyntaxError{})
	e.Subject = "room9"
	if got := string(AppendError(nil, &Command{ID: 1, HasID: true}, e)); got != `{"type":"error","id":1,"code":"internal","message":"something went wrong on the server"}` {
		t.Error(got)
	}
}

// A message names the first users under an emoji and counts all.
func TestReactionCountsAll(t *testing.T) {
	m := hello
	m.Reactions = []chat.Reaction{{Emoji: "x", Count: 5000, Users: make([]chat.UserID, chat.ReactionUsers)}}
	f, err := DecodeServer(AppendEvent(nil, &chat.Event{Kind: chat.EventMessage, Room: "r", Message: &m}))
	if err != nil {
		t.Fatal(err)
	}
	if r := f.Event.Message.Reactions[0]; len(r.Users) != chat.ReactionUsers || r.Count != 5000 {
		t.Errorf("%d users and a count of %d told", len(r.Users), r.Count)
	}
}

// The end of a mute that is kept of a user who has left is not told.
func TestEndOfAMuteOfWhoHasLeft(t *testing.T) {
	for role, want := range map[chat.Role]int64{chat.RoleMuted: 5000, chat.RoleBanned: 5000, chat.RoleNone: 0, chat.RoleMember: 0} {
		m := chat.Member{Room: "r", User: "ann", Role: role, Until: 5000}
		f, err := DecodeServer(AppendEvent(nil, &chat.Event{Kind: chat.EventMember, Room: "r", Member: &m}))
		if err != nil || f.Event.Member.Until != want {
			t.Errorf("%s: %+v, %v", role, f.Event, err)
		}
	}
}

// Newer servers may send events this version does not know.
func TestDecodeServerUnknownEvent(t *testing.T) {
	f, err := DecodeServer([]byte(`{"type":"poll","room":"r","code":{"x":1},"new":[1]}`))
	if err != nil || f.Type != "poll" || f.Event != nil {
		t.Errorf("%+v, %v", f, err)
	}
	for _, in := range []string{``, `[]`, `{"type":"error"}`, `{"type":"goodbye","code":"x"}`, `{"type":"message","time":"yesterday"}`} {
		if f, err := DecodeServer([]byte(in)); err == nil {
			t.Errorf("%s read as %+v", in, f)
		}
	}
}

// Servers of earlier versions told a member's rooms with a field more.
func TestDecodeServerIgnoresUnknownFields(t *testing.T) {
	f, err := DecodeServer([]byte(`{"type":"ack","id":2,"rooms":[{"room":"r","title":"","role":"member","seq":1,"rev":2,"read":1,"unread":0,"mute":true}]}`))
	if err != nil || len(f.Rooms) != 1 || f.Rooms[0].Role != chat.RoleMember {
		t.Errorf("%+v, %v", f, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range commandCases {
		f.Add(AppendCommand(nil, &tt.cmd))
	}
	for _, tt := range refusedCases {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte(`{"type":"join","x":01,"y":-,"z":"\u12"}`))
	f.Add([]byte(`{"a":{"b":[}]},"type":"ping"}`))
	f.Add([]byte(`{"message":"a","data":{"a": [1]},"message":null,"x":"\ud83d"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var cmd Command
		err := Decode(in, &cmd)
		checkScan(t, in)
		checkObject(t, in, &cmd, err)
		if err != nil {
			if k := chat.KindOf(err); k != chat.Invalid && k != chat.UnknownType {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		// What was read is written and read again without loss.
		var again Command
		if err := Decode(AppendCommand(nil, &cmd), &again); err != nil || !reflect.DeepEqual(cmd, again) {
			t.Errorf("%v\nread %+v\nthen %+v", err, cmd, again)
		}
	})
}

// checkScan compares the scanner with encoding/json: the same inputs are
// objects, with the same members.
func checkScan(t *testing.T, in []byte) {
	got := make(map[string]json.RawMessage)
	err := scanObject(in, func(name, value []byte) { got[string(name)] = bytes.Clone(value) })
	if err == errDepth {
		return
	}
	var want map[string]json.RawMessage
	wantErr := json.Unmarshal(in, &want)
	ok := wantErr == nil && want != nil && utf8.Valid(in)
	if ok != (err == nil) {
		t.Fatalf("scanner: %v, encoding/json: %v for %q", err, wantErr, in)
	}
	if !ok || len(want) == 0 && len(got) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("scanner %q\nencoding/json %q", got, want)
	}
}

// checkObject compares DecodeObject with Decode: the same inputs are objects, and
// the fields of a command have the same values.
func checkObject(t *testing.T, in []byte, cmd *Command, err error) {
	fields, objectErr := DecodeObject(in)
	if objectErr != nil {
		if err == nil || chat.KindOf(objectErr) != chat.Invalid {
			t.Fatalf("DecodeObject: %v, Decode: %v for %q", objectErr, err, in)
		}
		return
	}
	if err != nil {
		return
	}
	text, hasText := fields["message"]
	data, dataErr := fields.Data("data")
	if dataErr != nil {
		t.Fatalf("%v for %q", dataErr, in)
	}
	var read string
	if hasText && json.Unmarshal(text, &read) != nil || hasText != cmd.HasText || read != cmd.Text || !bytes.Equal(data, cmd.Data) {
		t.Errorf("DecodeObject reads %s and %s, Decode %q and %s", text, data, cmd.Text, cmd.Data)
	}
}

func FuzzDecodeServer(f *testing.F) {
	for _, tt := range serverCases() {
		f.Add(tt.frame)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := DecodeServer(in)
		if err != nil || frame.Event == nil || frame.Event.Kind == chat.EventRoom && frame.Event.Info == nil {
			return
		}
		out := AppendEvent(nil, frame.Event)
		if _, err := DecodeServer(out); err != nil {
			t.Errorf("%s\nbecame %s: %v", in, out, err)
		}
	})
}

func FuzzAppendEvent(f *testing.F) {
	f.Add("room1", "user1", "Hello", "k", `{"a":1}`, "👍", int64(5), true)
	f.Add("r\u2028\u2029", "\x00\x1f\x7f", "\xff\xc0\xaf\xed\xa0\x80", "\\\"/", `null`, "<>&", int64(-1), false)
	f.Fuzz(func(t *testing.T, room, user, text, key, data, emoji string, n int64, on bool) {
		m := chat.Message{Room: chat.RoomID(room), Seq: chat.Seq(n), Rev: chat.Rev(n), User: chat.UserID(user), Text: text, Key: key, Time: n % (1 << 47), ReplyTo: chat.Seq(n), Deleted: on}
		m.Reactions = []chat.Reaction{{Emoji: emoji, Count: 3, Users: []chat.UserID{m.User}}}
		if json.Valid([]byte(data)) && utf8.ValidString(data) {
			m.Data = []byte(data)
		}
		users := []chat.UserID{m.User}
		member := chat.Member{Room: m.Room, User: m.User, Name: text, Role: chat.Role(n), Rev: m.Rev}
		info := chat.Room{ID: m.Room, Title: text, Open: on, Rev: m.Rev}
		for _, kind := range chat.EventKinds() {
			ev := chat.Event{Kind: kind, Room: m.Room, Rev: m.Rev, Message: &m, Member: &member, Info: &info,
				Presence: &chat.Presence{Online: int(n), Came: users, Went: users}, Seq: m.Seq, User: m.User, Emoji: emoji, On: on}
			b := AppendEvent(nil, &ev)
			if !json.Valid(b) || !utf8.Valid(b) || bytes.ContainsAny(b, "\n\r\u2028\u2029") && m.Data == nil {
				t.Fatalf("kind %d: %q", kind, b)
			}
			got, err := DecodeServer(b)
			if err != nil || got.Event == nil || got.Event.Kind != kind {
				t.Fatalf("kind %d: %v, %s", kind, err, b)
			}
			if got.Event.Room != chat.RoomID(strings.ToValidUTF8(room, "\ufffd")) && utf8.ValidString(room) {
				t.Errorf("room %q became %q", room, got.Event.Room)
			}
			if kind == chat.EventMessage && utf8.ValidString(text) && got.Event.Message.Text != text {
				t.Errorf("text %q became %q", text, got.Event.Message.Text)
			}
		}
	})
}

func BenchmarkDecodeMessage(b *testing.B) {
	frame := []byte(`{"type":"message","id":41234,"room":"room-17","message":"` + strings.Repeat("lorem ipsum ", 10) + `","key":"0198f3c2-7d1e-7a54-9c1b-5f2f6f3f9a11"}`)
	b.ReportAllocs()
	for b.Loop() {
		var cmd Command
		if err := Decode(frame, &cmd); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	m := hello
	m.Text = strings.Repeat("lorem ipsum ", 10)
	ev := chat.Event{Kind: chat.EventMessage, Room: "room-17", Rev: 9, Message: &m}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], &ev)
	}
}
