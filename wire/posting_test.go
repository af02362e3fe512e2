package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func TestDecodePosting(t *testing.T) {
	got, err := wire.DecodePosting([]byte(`{"room":7,"user":1001,"key":4711,"message":"Hello","name":"Ann","reply_to":"3","data":{"b":1, "a":2}}`))
	want := wire.Posting{Room: "7", User: "1001", Key: "4711", Text: "Hello", Name: "Ann", ReplyTo: 3, Data: got.Data}
	if err != nil || !reflect.DeepEqual(got, want) || !strings.Contains(string(got.Data), `"b":1`) || strings.Contains(string(got.Data), " ") {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"room":"a","token":"x"}`:          `unknown field "token"`,
		`{"room":"a","a\u0000b":1}`:         `unknown field (one that is not shown)`,
		`{"room":{"x":1}}`:                  "room must be a string",
		`{"room":"a","message":5,"name":5}`: "message must be a string",
		`["room"]`:                          "the message is ",
		`hello`:                             "the message is ",
		``:                                  "the message is ",
	} {
		if _, err := wire.DecodePosting([]byte(text)); chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzDecodePosting(f *testing.F) {
	f.Add([]byte(`{"room":"a","user":"ann","message":"Hello","key":"k","name":"Ann","reply_to":1,"data":[{}]}`))
	f.Add([]byte(`{"room":null,"message":"\ud83d"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := wire.DecodePosting(b)
		if err != nil && chat.KindOf(err) != chat.Invalid {
			t.Error(err)
		}
	})
}
