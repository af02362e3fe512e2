package notify

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

// What is told of a message depends on the kind of room, and on what the user wants told.
func TestWords(t *testing.T) {
	titled := chat.Room{ID: "r", Title: "General", Members: 9}
	two := chat.Room{ID: "dm-1-2", Members: 2}
	group := chat.Room{ID: "g", Members: 5}
	said := chat.Message{User: "u1", Name: "Ann", Text: "see\n {name}  you"}
	nameless := chat.Message{User: "u1", Text: "hello"}
	wordless := chat.Message{User: "u1", Name: "Ann", Data: []byte(`{}`)}
	for _, c := range []struct {
		lang            string
		room            chat.Room
		m               chat.Message
		unread          int
		mention, hidden bool
		title, text     string
	}{
		{"en", titled, said, 1, false, false, "General", "Ann: see {name} you"},
		{"zh", titled, said, 1, false, false, "General", "Ann：see {name} you"},
		{"en", titled, said, 1, true, false, "General", "Ann mentioned you: see {name} you"},
		{"zh", titled, nameless, 1, true, false, "General", "u1 提到了你：hello"},
		{"en", titled, wordless, 1, false, false, "General", "Ann sent something"},
		{"en", two, said, 1, true, false, "Ann", "see {name} you"},
		{"zh", two, wordless, 1, false, false, "Ann", "发来一条消息"},
		{"en", group, said, 1, true, false, "Ann", "Ann mentioned you: see {name} you"},
		{"en", titled, said, 1, true, true, "General", "1 new message"},
		{"en", two, said, 12, false, true, "Chat", "12 new messages"},
		{"zh", two, said, 12, false, true, "聊天", "12 条新消息"},
	} {
		title, text := languages[c.lang].message(&c.room, &c.m, c.unread, c.mention, c.hidden)
		if title != c.title || text != c.text {
			t.Errorf("%s %s: %q, %q; want %q, %q", c.lang, c.room.ID, title, text, c.title, c.text)
		}
	}
}

// However long names and messages are, what is told of them fits into what services take.
func TestWordsAreBounded(t *testing.T) {
	long := strings.Repeat("𝄞 ", 5000)
	title, text := languages["zh"].message(&chat.Room{Title: long}, &chat.Message{Name: long, Text: long}, 1, true, false)
	if n := utf8.RuneCountInString(title); n != titleRunes+1 && n != titleRunes {
		t.Errorf("the title has %d characters", n)
	}
	if !strings.HasSuffix(text, "…") || len(title)+len(text) > 2000 {
		t.Errorf("%d bytes, which end with %q", len(title)+len(text), text[len(text)-8:])
	}
}

// The language of a device goes before that of the server, as far as there are texts in it.
func TestLanguageOfDevices(t *testing.T) {
	for _, c := range []struct{ device, server, want string }{
		{"", "en", "en"}, {"", "zh", "zh"}, {"zh", "en", "zh"}, {"zh-CN", "en", "zh"}, {"ZH-Hant-TW", "en", "zh"}, {"en-GB", "zh", "en"}, {"fr", "zh", "zh"},
	} {
		s := &Sender{cfg: SenderConfig{Language: c.server}}
		if s.language(&chat.Device{Language: c.device}) != languages[c.want] {
			t.Errorf("%q at a server in %s is not told in %s", c.device, c.server, c.want)
		}
	}
}
