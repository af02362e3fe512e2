package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
)

func TestTailPrintsOneSafeLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).UnixMilli()
	m := &chat.Message{Room: "r", Seq: 7, User: "ann", Text: "a\nb\x1b[31m\u009bred", Time: at}
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

func TestTailNamesRoomsAndDates(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).UnixMilli()
	hello := func(room chat.RoomID, name string) client.Event {
		return client.Event{Event: chat.Event{Kind: chat.EventMessage, Room: room, Message: &chat.Message{Room: room, Seq: 7, User: "u_88", Name: name, Text: "hello", Time: at}}}
	}
	for _, tt := range []struct {
		v    tailVerb
		ev   client.Event
		want string
	}{
		{tailVerb{}, hello("r", "Grace\x1b Hopper"), "03:04:05 7 Grace Hopper (u_88): hello\n"},
		{tailVerb{}, hello("r", "u_88"), "03:04:05 7 u_88: hello\n"},
		{tailVerb{Dates: true}, hello("r", ""), "2026-01-02 03:04:05 7 u_88: hello\n"},
		{tailVerb{Room: []string{"r", "s"}}, hello("s", "Grace"), "03:04:05 s 7 Grace (u_88): hello\n"},
		{tailVerb{From: []chat.UserID{"u_88", "x"}}, hello("r", ""), "03:04:05 7 u_88: hello\n"},
		{tailVerb{From: []chat.UserID{"x"}}, hello("r", ""), ""},
		{tailVerb{kinds: []chat.EventKind{chat.EventEdited}}, hello("r", ""), ""},
		{tailVerb{JSON: true, From: []chat.UserID{"x"}}, hello("r", ""), ""},
	} {
		var b bytes.Buffer
		if err := tt.v.print(&b, tt.ev); err != nil || b.String() != tt.want {
			t.Errorf("%+v: %q, want %q (%v)", tt.v, b.String(), tt.want, err)
		}
	}
}

// Of several rooms, only what the filters let through comes as JSON.
func TestTailFilters(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "data"))
	say := func(user, room, text string) {
		must(t, "send", "--url="+n.url, "--user="+user, "--room="+room, text)
	}
	say("ann", "a", "one")
	say("bob", "a", "two")
	say("bob", "b", "three")
	say("ann", "c", "four")
	got := tail(t, 2, "--url="+n.url, "--user=cleo", "--room=a", "--room=b", "--from=bob", "--kinds=message")
	if got != "bob: two|bob: three" {
		t.Errorf("printed %q", got)
	}
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}
}

// A line that cannot be a message is left out and named; the others are sent.
func TestSendGoesOnOverBadLines(t *testing.T) {
	n := serve(t, filepath.Join(t.TempDir(), "data"))
	long := strings.Repeat("x", 5000)
	lines := "a\n\nb\n" + long + "\nc\r\n" + strings.Repeat("y", 100_000) + "\n \t\nd"
	out, errs, code := roomtide(t, lines, "send", "--url="+n.url, "--user=ann", "--room=a")
	if out != "1\n2\n3\n4\n" || code != 1 {
		t.Errorf("printed %q, exit code %d", out, code)
	}
	for _, want := range []string{
		"line 2 was left out: message is empty\n", "line 4 was left out: message is longer than 4000 characters\n",
		"line 6 was left out: it is longer than 16384 bytes\n", "line 7 was left out: message is empty\n", "roomtide: 4 of the lines were left out\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("stderr has no %q:\n%s", want, errs)
		}
	}
	if strings.Contains(errs, long[:100]) {
		t.Error("a text is in the notes")
	}
	if got := tail(t, 4, "--url="+n.url, "--user=bob", "--room=a", "--after=0"); got != "ann: a|ann: b|ann: c|ann: d" {
		t.Errorf("the room has %q", got)
	}
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}
}
