package wire

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

func TestDecodeImported(t *testing.T) {
	in := `{"room":7,"seq":"8","user":1,"name":"Ann","key":3,"message":"a\u00e9","data":{"a": 1},"reply_to":2,"reply_item":0,` +
		`"time":"2019-01-02T03:04:05.678Z","edited":null,"deleted":true,"colour":1,"old":null,"room":"r"}`
	want := Imported{
		Room: "r", Seq: 8, User: "1", Name: "Ann", Key: "3", Text: "aé", Data: json.RawMessage(`{"a":1}`), ReplyTo: 2, ReplyItem: 1,
		Time: 1546398245678, Deleted: true, Unknown: []string{"colour"},
	}
	if got, err := DecodeImported([]byte(in)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, in := range []string{
		`[]`, `{`, `{"room":[]}`, `{"seq":1.5}`, `{"message":1}`, `{"time":"today"}`, `{"deleted":1}`, `{"data":1e999}`, `{"reply_item":"x"}`, "{\"message\":\"\xff\"}",
	} {
		if _, err := DecodeImported([]byte(in)); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", in, err)
		}
	}
	if got, _ := DecodeImported([]byte(`{"reply_item":-9223372036854775808}`)); got.ReplyItem >= 0 {
		t.Errorf("%+v", got)
	}
}

// DecodeImported reads what DecodeObject reads.
func FuzzDecodeImported(f *testing.F) {
	for _, s := range []string{`{"room":"r","key":"k","message":"\ud83d","data":[ {} ]}`, `{"seq":1,"deleted":true,"x":1,"x":null}`, `{"time":"2019-01-02T03:04:05Z","message":1,"message":"a"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := DecodeImported(in)
		o, objectErr := DecodeObject(in)
		if err != nil {
			if chat.KindOf(err) != chat.Invalid {
				t.Error(err)
			}
			return
		}
		room, roomErr := o.ID("room")
		data, dataErr := o.Data("data")
		var text string
		if o["message"] != nil && json.Unmarshal(o["message"], &text) != nil || objectErr != nil || roomErr != nil || dataErr != nil {
			t.Fatalf("%q: %v, %v, %v", in, objectErr, roomErr, dataErr)
		}
		if string(m.Room) != room || m.Text != text || string(m.Data) != string(data) {
			t.Errorf("%q: %+v", in, m)
		}
	})
}

// A list has what encoding/json finds in it.
func FuzzList(f *testing.F) {
	for _, s := range []string{`[]`, ` [ 1 , "a,]\"" , {"b":[2, 3]} , [ ] , null ] `, `{}`, `null`, `"x"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := DecodeObject(append(append([]byte(`{"l":`), in...), '}'))
		if err != nil || len(o) != 1 || o["l"] == nil {
			return
		}
		var want []json.RawMessage
		got, ok := o.List("l")
		if wantErr := json.Unmarshal(o["l"], &want); ok != (wantErr == nil) || len(got) != len(want) {
			t.Fatalf("%q: %q, %t, want %q, %v", in, got, ok, want, wantErr)
		}
		for i := range want {
			if string(got[i]) != string(want[i]) {
				t.Errorf("%q: %q, want %q", in, got[i], want[i])
			}
		}
	})
}
