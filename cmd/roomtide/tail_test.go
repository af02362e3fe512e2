package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

func TestTailPrintsOneSafeLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).UnixMilli()
	m := &chat.Message{Seq: 7, User: "ann", Text: "a\nb\x1b[31m\u009bred", Time: at}
	for _, tt := range []struct {
		kind chat.EventKind
		want string
	}{
		{chat.EventMessage, "03:04:05 7 ann: a b[31mred\n"},
		{chat.EventEdited, "03:04:05 7 ann: a b[31mred (edited)\n"},
		{chat.EventDeleted, "03:04:05 7 ann: (deleted)\n"},
		{chat.EventTyping, ""},
	} {
		var b bytes.Buffer
		ev := client.Event{Event: chat.Event{Kind: tt.kind, Message: m}}
		if tt.kind == chat.EventTyping {
			ev.Message = nil
		}
		if err := new(tailVerb).print(&b, ev); err != nil || b.String() != tt.want {
			t.Errorf("kind %d: %q, want %q (%v)", tt.kind, b.String(), tt.want, err)
		}
	}
}
