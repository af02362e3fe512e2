package notify

import (
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// language is what notifications say beside the messages. {name} is who has written, {text}
// the message, {n} the number of unread ones.
type language struct {
	said      string // in a room
	mentioned string // in a room, to the user
	wordless  string // a message without a text, in a room
	alone     string // the same, in a conversation of two
	one, more string // hidden: how many there are
	untitled  string // hidden: of a room without a title
}

var languages = map[string]*language{
	"en": {
		said: "{name}: {text}", mentioned: "{name} mentioned you: {text}", wordless: "{name} sent something", alone: "Sent something",
		one: "1 new message", more: "{n} new messages", untitled: "Chat",
	},
	"zh": {
		said: "{name}：{text}", mentioned: "{name} 提到了你：{text}", wordless: "{name} 发来一条消息", alone: "发来一条消息",
		one: "1 条新消息", more: "{n} 条新消息", untitled: "聊天",
	},
}

// language is that of the device, as far as there are texts in it, else the server's.
func (s *Sender) language(d *chat.Device) *language {
	tag, _, _ := strings.Cut(strings.ToLower(d.Language), "-")
	if l := languages[tag]; l != nil {
		return l
	}
	return languages[s.cfg.Language]
}

// What is shown of a message, and of names: more does not fit on a screen, and all services
// take it.
const (
	textRunes  = 240
	titleRunes = 80
)

// message is the title and the text for a message. A room has its title on top; a closed
// room of two without one is a conversation, and has the other's name there.
func (l *language) message(r *chat.Room, m *chat.Message, unread int, mention, hidden bool) (title, text string) {
	name := m.Name
	if name == "" {
		name = string(m.User)
	}
	name = shorten(name, titleRunes)
	conversation := r.Title == "" && !r.Open && r.Members <= 2
	if title = shorten(r.Title, titleRunes); title == "" {
		title = name
	}
	if hidden {
		if r.Title == "" {
			title = l.untitled
		}
		return title, l.count(unread)
	}
	said := shorten(m.Text, textRunes)
	switch {
	case said == "" && (conversation || r.Title == ""):
		return title, l.alone
	case said == "":
		return title, fill(l.wordless, name, "")
	case mention && !conversation:
		return title, fill(l.mentioned, name, said)
	case r.Title == "":
		return title, said
	}
	return title, fill(l.said, name, said)
}

func (l *language) count(unread int) string {
	if unread <= 1 {
		return l.one
	}
	return strings.ReplaceAll(l.more, "{n}", strconv.Itoa(unread))
}

// fill puts values into a template. What the values look like does not matter.
func fill(template, name, text string) string {
	return strings.NewReplacer("{name}", name, "{text}", text).Replace(template)
}

// shorten makes one line of a text, with up to so many characters.
func shorten(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	runes := 0
	for i := range s {
		if runes++; runes > most {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}
