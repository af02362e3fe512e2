package store

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomtide/roomtide/chat"
)

var update = flag.Bool("update", false, "write the golden file anew")

// goldenRows have every field of every type set, and texts that JSON escapes.
func goldenRows() *Rows {
	const odd = "<\"a\\b\">&\x00\x01\t\n\r\b\f\u007f\u2028\u2029é👍\ufffd"
	return &Rows{
		Rooms: []chat.Room{{ID: "r", Title: odd, Topic: "topic", Avatar: "/a?b&c", Data: `{"a":"<é\u2028>","n":1e400,"` + "\u2029" + `":0}`, Open: true, ReadOnly: true,
			LastSeq: 3, Rev: 9, InfoRev: 2, Members: 1, Created: 1764225600000, Active: -1, Archived: true, Deleted: true, Floor: 1}, {ID: "empty"}},
		Members: []chat.Member{{Room: "r", User: "ann", Name: "Ann", Avatar: "/ann", Data: `[1,2]`, Role: chat.RoleMuted, Until: 5, Rev: 2, Since: 4},
			{Room: "r", User: "bob", Rev: 3}},
		Messages: []chat.Message{{Room: "r", Seq: 1, Rev: 5, Created: 4, User: "ann", Name: "Ann", Text: odd, Time: 7, Key: odd, Digest: -1 << 63,
			ReplyTo: 1, Data: []byte(`{"b":2,"a":1}`), Edited: 8, Deleted: true, Mentions: []chat.UserID{"bob", "ann"}},
			{Room: "r", Seq: 1<<63 - 1, Rev: 6, Created: 6, User: "ann", Data: []byte(`{ "spaced": 1 }`)},
			{Room: "r", Seq: 2, Data: []byte(`not JSON`)}, {Room: "r", Seq: 3, Data: []byte("null")}},
		Reactions: []ReactionChange{{ReactionKey: ReactionKey{Room: "r", Seq: 1, Emoji: "👍", User: "bob"}, On: true, Time: 9}},
		Online:    []OnlineChange{{Room: "r", OnlineEntry: OnlineEntry{User: "ann", Node: "n1"}, On: true}},
		UserRooms: []UserRoom{{User: "ann", Room: "r", Role: chat.RoleOwner, Rev: 2, Read: 1}, {User: "bob", Room: "r"}},
		Users:     []chat.User{{ID: "ann", Name: "Ann", Avatar: "/ann", Data: `"x"`, Named: 3}},
		Access:    []chat.Access{{User: "ann", NotBefore: 4, Claimed: true}},

		Devices: []chat.Device{{User: "ann", ID: "phone", Provider: "fcm", Address: `{"token":"t"}`, Language: "zh", Registered: 5, Seen: 6}},
		PushSettings: []chat.PushSettings{{User: "ann", Room: "r", Level: chat.PushMentions, MuteUntil: 7,
			QuietFrom: 1320, QuietTo: 420, TimeZone: "Asia/Shanghai", HideContent: true}, {User: "ann"}},
		PushJobs: []PushJob{{User: "ann", Topic: "host:n", Device: "phone", Made: 8, State: PushDead, Seq: 1, Silent: true, Mention: true, Shown: true,
			Due: 9, Expires: 10, Attempts: 2, Reason: "network", Title: "title", Text: odd, Data: `{"a":"b"}`},
			{User: "ann", Topic: "room:r", Device: "phone", Seq: 3}},
		PushOwners: []PushOwner{{Digest: "digest", User: "ann", Device: "phone", Seen: 6}},
		UserNodes:  []UserNodes{{User: "ann", Nodes: "n1\nn2"}},
	}
}

// decode reads lines.
func decode(t rapid.TB, lines []byte) *Rows {
	t.Helper()
	var rows Rows
	for line := range bytes.Lines(lines) {
		if err := DecodeLine(line, &rows); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	return &rows
}

func encode(t rapid.TB, rows *Rows) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := rows.WriteLines(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLinesAreAsTheyWere compares the canonical form with what it was when the file
// was written: exports and digests of other versions depend on it.
func TestLinesAreAsTheyWere(t *testing.T) {
	const golden = "testdata/lines.jsonl"
	got := encode(t, goldenRows())
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	if n := bytes.Count(got, []byte("\n")); n != goldenRows().Len() {
		t.Errorf("%d lines", n)
	}
	if rows := decode(t, want); !reflect.DeepEqual(rows, goldenRows()) {
		t.Errorf("it is read as %+v", rows)
	}
}

// Every field of every row has its place: a row with another value in one field has
// another line.
func TestLinesHaveEveryField(t *testing.T) {
	rows := reflect.ValueOf(goldenRows()).Elem()
	for i := range rows.NumField() {
		row := rows.Field(i).Index(0)
		for _, f := range reflect.VisibleFields(row.Type()) {
			if f.Anonymous || f.Name == "Reactions" || f.Name == "On" {
				continue
			}
			if v := row.FieldByIndex(f.Index); v.IsZero() {
				t.Errorf("%s.%s is not set in the golden rows", row.Type(), f.Name)
			}
		}
	}
}

func TestOtherFormsOfALine(t *testing.T) {
	for _, line := range []string{
		`{"type":"message","room":"r","seq":7,"rev":1,"created_rev":1,"user":"ann","text":"é","data":{"a":1}}`,
		` { "text":"\u00e9", "data" : { "a" : 1 } , "data_text":"", "user":"ann","seq":7,"room":"r","created_rev":1,"rev":1,"deleted":false,"type":"message"} ` + "\n",
		`{"type":"message","room":"r","seq":7,"rev":1,"created_rev":1,"user":"ann","text":"é","data_text":"{\"a\":1}","data":null,"role":"none"}`,
	} {
		rows := decode(t, []byte(line))
		want := chat.Message{Room: "r", Seq: 7, Rev: 1, Created: 1, User: "ann", Text: "é", Data: []byte(`{"a":1}`)}
		if !reflect.DeepEqual(rows, &Rows{Messages: []chat.Message{want}}) {
			t.Errorf("%s is %+v", line, rows)
		}
	}
}

func TestBadLines(t *testing.T) {
	for line, word := range map[string]string{
		``:                                       "EOF",
		`{`:                                      "unexpected EOF",
		`[]`:                                     "cannot unmarshal",
		`{"room":"r"}`:                           "no type",
		`{"type":"reply","room":"r"}`:            `"reply" is unknown`,
		`{"type":"room"}`:                        "key is missing",
		`{"type":"user","room":"r"}`:             "does not have",
		`{"type":"room","room":"r","text":"x"}`:  "does not have",
		`{"type":"room","room":"r","texts":"x"}`: "unknown field",
		`{"type":"room","room":"r"} {}`:          "behind",
		`{"type":"member","room":"r"}`:           "key is missing",
		`{"type":"member","room":"r","user":"u","role":"boss"}`:                   "role",
		`{"type":"message","room":"r"}`:                                           "key is missing",
		`{"type":"message","room":"r","seq":1,"mentions":["a\nb"]}`:               "mentions",
		`{"type":"message","room":"r","seq":-1}`:                                  "key is missing",
		`{"type":"message","room":"r","seq":9223372036854775808}`:                 "cannot unmarshal",
		`{"type":"message","room":"r","seq":1.5}`:                                 "cannot unmarshal",
		`{"type":"message","room":"r","seq":1,"data":{},"data_text":"x"}`:         "twice",
		`{"type":"reaction","room":"r","seq":1,"emoji":"x"}`:                      "key is missing",
		`{"type":"reaction","room":"r","seq":1,"emoji":"x","user":"u","rev":1}`:   "does not have",
		`{"type":"online","room":"r","user":"u"}`:                                 "key is missing",
		`{"type":"user_room","user":"u"}`:                                         "key is missing",
		`{"type":"access","not_before":1}`:                                        "key is missing",
		`{"type":"device","user":"u"}`:                                            "key is missing",
		`{"type":"push_settings","user":"u","level":"some"}`:                      "level",
		`{"type":"push_job","user":"u","topic":"t","device":"d","state":"lost"}`:  "state",
		`{"type":"push_job","user":"u","topic":"t"}`:                              "key is missing",
		`{"type":"push_owner","user":"u"}`:                                        "key is missing",
		"{\"type\":\"room\",\"room\":\"\xff\"}":                                   "UTF-8",
		`{"type":"member","room":"r","user":"u","name":"n","since":1,"active":1}`: "does not have",
	} {
		rows := Rows{Users: []chat.User{{ID: "before"}}}
		if err := DecodeLine([]byte(line), &rows); err == nil || !strings.Contains(err.Error(), word) || rows.Len() != 1 {
			t.Errorf("%s: %v and %+v, want %s", line, err, rows, word)
		}
	}
	for what, rows := range map[string]Rows{
		"UTF-8": {Messages: []chat.Message{{Room: "r", Seq: 1, Text: "a\xffb"}}},
		"role":  {Members: []chat.Member{{Room: "r", User: "u", Role: 77}}},
	} {
		err := rows.WriteLines(&bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "ID:r") {
			t.Errorf("%s: %v", what, err)
		}
	}
	bad := Rows{Rooms: []chat.Room{{ID: "r", Data: "\xff"}}}
	if err := bad.WriteLines(&bytes.Buffer{}); err == nil {
		t.Error("data that is not UTF-8 was written")
	}
}

// FuzzDecodeLine: what is read is written in the canonical form, which is read as the
// same.
func FuzzDecodeLine(f *testing.F) {
	golden, err := os.ReadFile("testdata/lines.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(golden) {
		f.Add(line)
	}
	f.Add([]byte(`{"type":"room","room":"r","data":  {"a": [1, 2]},"data_text":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var rows Rows
		if DecodeLine(line, &rows) != nil {
			return
		}
		canonical := encode(t, &rows)
		again := decode(t, canonical)
		if rows.Len() != 1 || !reflect.DeepEqual(&rows, again) || !bytes.Equal(encode(t, again), canonical) {
			t.Errorf("%s is %+v, then %+v", line, rows, again)
		}
	})
}

func TestDigests(t *testing.T) {
	of := func(pages ...*Rows) Digests {
		var d Digests
		for _, p := range pages {
			if err := d.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	all := goldenRows()
	whole := of(all)
	if len(whole.Rooms()) != 2 || len(whole.Users()) != 3 {
		t.Fatalf("%d rooms and %d users and owners of addresses", len(whole.Rooms()), len(whole.Users()))
	}
	// However rows are cut into pages.
	first := &Rows{Rooms: all.Rooms, Members: all.Members[:1]}
	second := *all
	second.Rooms, second.Members = nil, all.Members[1:]
	pages := of(first, &second)
	if !reflect.DeepEqual(pages.Rooms(), whole.Rooms()) || !reflect.DeepEqual(pages.Users(), whole.Users()) {
		t.Error("pages make another digest")
	}
	// One field makes another digest, of one room.
	all.Reactions[0].Time++
	other := of(all)
	if other.Rooms()["r"] == whole.Rooms()["r"] || other.Rooms()["empty"] != whole.Rooms()["empty"] ||
		!reflect.DeepEqual(other.Users(), whole.Users()) {
		t.Error("a reaction does not count, or counts for others")
	}
	var d Digests
	if err := d.Add(&Rows{Users: []chat.User{{ID: "u", Name: "\xff"}}}); err == nil {
		t.Error("a row without a form has a digest")
	}
}

func BenchmarkLines(b *testing.B) {
	rows := &Rows{Messages: []chat.Message{{Room: "general", Seq: 12345, Rev: 12399, Created: 12399, User: "user-17", Name: "Seventeen",
		Text: strings.Repeat("some text ", 12), Time: 1764225600000, Key: "0123456789abcdef", Digest: 1234567890123456789}}}
	line := encode(b, rows)
	b.Run("digest", func(b *testing.B) {
		var d Digests
		for b.Loop() {
			if err := d.Add(rows); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var rows Rows
			if err := DecodeLine(line, &rows); err != nil {
				b.Fatal(err)
			}
		}
	})
}
