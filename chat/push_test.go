package chat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
)

func TestQuietUntil(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	night, noon := chat.PushSettings{QuietFrom: 22 * 60, QuietTo: 7 * 60}, chat.PushSettings{QuietFrom: 12 * 60, QuietTo: 13*60 + 30}
	for _, c := range []struct {
		s         chat.PushSettings
		now, want string
	}{
		{chat.PushSettings{}, "2026-01-05 00:00", "2026-01-05 00:00"},
		{night, "2026-01-05 21:59", "2026-01-05 21:59"},
		{night, "2026-01-05 22:00", "2026-01-06 07:00"},
		{night, "2026-01-31 23:59", "2026-02-01 07:00"},
		{night, "2026-01-06 00:00", "2026-01-06 07:00"},
		{night, "2026-01-06 07:00", "2026-01-06 07:00"},
		{night, "2026-03-28 23:00", "2026-03-29 07:00"}, // an hour less
		{noon, "2026-01-06 13:29", "2026-01-06 13:30"},
		{noon, "2026-01-06 13:30", "2026-01-06 13:30"},
		{noon, "2026-01-06 11:00", "2026-01-06 11:00"},
	} {
		if got := c.s.QuietUntil(at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("%d to %d: quiet at %s until %s, want %s", c.s.QuietFrom, c.s.QuietTo, c.now, got, c.want)
		}
	}
}

func TestPushLevels(t *testing.T) {
	for l := chat.PushDefault; l <= chat.PushNone; l++ {
		if got, ok := chat.ParsePushLevel(l.String()); !ok || got != l {
			t.Errorf("%d is read as %d", l, got)
		}
	}
	if _, ok := chat.ParsePushLevel("some"); ok || chat.PushLevel(9).String() != "" {
		t.Error("there are more levels")
	}
}

func TestCheckNotice(t *testing.T) {
	for name, c := range map[string]struct {
		n    chat.Notice
		kind chat.Kind
	}{
		"empty":     {chat.Notice{Name: "n"}, chat.Invalid},
		"too long":  {chat.Notice{Text: strings.Repeat("x", chat.NoticeTextBytes+1)}, chat.TooLarge},
		"not UTF-8": {chat.Notice{Title: "\xff"}, chat.Invalid},
		"a zero":    {chat.Notice{Name: "a\x00", Title: "t"}, chat.Invalid},
	} {
		if err := c.n.Check(); chat.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&chat.Notice{Data: `{"a":"b"}`}).Check(); err != nil {
		t.Error(err)
	}
	for id, kind := range map[string]chat.Kind{"": chat.Invalid, "a b": chat.Invalid, "a\n": chat.Invalid, strings.Repeat("x", 129): chat.TooLarge} {
		if err := chat.CheckDeviceID(id); chat.KindOf(err) != kind {
			t.Errorf("device %q: %v", id, err)
		}
	}
}
