package source

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/chat"
)

// row makes a Row of the values of the message's fields. ok is false for one that is no
// message.
func (s *Tables) row(key Key, values []value, problems []Problem) (_ Row, ok bool) {
	b := rowBuilder{s: s, r: Row{Key: key, Kind: Message, Problems: problems}}
	for i, f := range s.messages.section.Fields {
		if v := values[i]; v != nil {
			b.field(f.Name, string(v))
		}
	}
	if b.r.Kind == skip {
		return Row{}, false
	}
	b.check()
	return b.r, true
}

// rowBuilder makes one Row.
type rowBuilder struct {
	s *Tables
	r Row
}

func (b *rowBuilder) problem(class Class, field, detail string, refused bool) {
	b.r.Problems = append(b.r.Problems, Problem{class, field, detail, refused})
}

// field takes one value.
func (b *rowBuilder) field(name, v string) {
	r := &b.r
	m := &b.s.mapping.Message
	switch name {
	case "room":
		r.Room = mapping.Names(v)
	case "user":
		r.User = v
	case "to":
		r.To = v
	case "text":
		r.Text = b.decoded(name, v, b.s.decoders.text)
	case "time":
		t, ok := b.s.time(v, m.Unit)
		if r.Time = t; !ok {
			b.problem(NoTime, name, v, b.s.mapping.Action(string(NoTime)) == "refuse")
		}
	case "edited":
		r.Edited, _ = b.s.time(v, m.Unit) // 0 and a zero date mean never
	case "deleted":
		r.Deleted = truth(v)
	case "reply":
		if v != "" && v != "0" {
			r.Reply = Key(v)
		}
	case "kind":
		r.Kind = v
	default:
		if data, ok := strings.CutPrefix(name, "data."); ok && v != "" {
			if r.Data == nil {
				r.Data = map[string]string{}
			}
			r.Data[data] = b.decoded(name, v, b.s.decoders.data[data])
		}
	}
}

// truth reads a value of a condition, in what each database makes of one.
func truth(v string) bool {
	switch strings.ToLower(v) {
	case "", "0", "f", "false", "no", "n", "off", "\x00", "0.0":
		return false
	}
	return true
}

// decoded runs decoders, and makes sure that text comes of it.
func (b *rowBuilder) decoded(field, v string, p decode.Pipeline) string {
	text, err := p.Decode(v)
	if err != nil {
		b.problem(Undecoded, field, err.Error(), b.s.mapping.Action(string(Undecoded)) == "refuse")
		text = v
	}
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	b.problem(NotText, field, "", b.s.mapping.Action(string(NotText)) == "refuse")
	return strings.ReplaceAll(strings.ToValidUTF8(text, string(utf8.RuneError)), "\x00", string(utf8.RuneError))
}

// aheadMost is how far in the future a time may be: clocks differ.
const aheadMost = 5 * 60 * 1000

// check finds what does not fit.
func (b *rowBuilder) check() {
	r, m := &b.r, b.s.mapping
	limits := &b.s.options.Limits
	if r.Kind != System {
		r.Kind = Message
	}
	b.ids(limits)
	switch {
	case r.Time.IsZero() && m.Message.Unit != "none" && !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Field == "time" }):
		b.problem(NoTime, "time", "NULL", m.Action(string(NoTime)) == "refuse")
	case r.Time.UnixMilli() > b.s.options.Now().UnixMilli()+aheadMost:
		b.problem(Future, "time", r.Time.UTC().Format("2006-01-02 15:04:05 MST"), m.Action(string(Future)) == "refuse")
	}
	if r.Deleted {
		r.Text, r.Data = "", nil
		return
	}
	b.size(limits)
	if len(r.Data) == 0 && strings.TrimSpace(r.Text) == "" {
		b.problem(Empty, "text", "", true)
	}
}

// ids checks what Roomtide names things by.
func (b *rowBuilder) ids(limits *chat.Limits) {
	r, m := &b.r, b.s.mapping
	switch {
	case r.Room == "":
		b.problem(NoRoom, "room", "", true)
	default:
		b.id("room", r.Room, limits)
	}
	if r.To != "" {
		b.id("to", r.To, limits)
	}
	switch {
	case r.User != "":
		b.id("user", r.User, limits)
	case r.Kind == System:
	case m.Action(string(NoUser)) == "system":
		r.Kind = System
		b.problem(NoUser, "user", "", false)
	default:
		b.problem(NoUser, "user", "", true)
	}
}

func (b *rowBuilder) id(field, id string, limits *chat.Limits) {
	what := "user"
	if field == "room" {
		what = field
	}
	if err := chat.CheckID(what, id, limits.IDBytes); err != nil {
		b.problem(BadID, field, chat.Public(err).Text, true)
	}
}

// cutMark ends a text that was cut.
const cutMark = " […]"

// size applies the limits of a message.
func (b *rowBuilder) size(limits *chat.Limits) {
	r, m := &b.r, b.s.mapping
	runes := utf8.RuneCountInString(r.Text)
	if len(r.Text) > limits.MessageBytes || runes > limits.MessageRunes {
		action := m.Action(string(TooLong))
		b.problem(TooLong, "text", strconv.Itoa(runes)+" characters", action == "refuse" || runes > maxText && action == "keep")
		if action == "cut" {
			r.Text = cut(r.Text, limits)
		}
	}
	data := 0
	for name, v := range r.Data {
		data += len(name) + len(v) + 6 // quotes, colon and comma of JSON
	}
	if data > limits.DataBytes {
		action := m.Action(string(DataTooBig))
		b.problem(DataTooBig, "data", strconv.Itoa(data)+" bytes", action == "refuse")
		r.Data = nil
	}
}

// cut is the beginning of a text with a mark, within the limits.
func cut(text string, limits *chat.Limits) string {
	bytes, runes := limits.MessageBytes-len(cutMark), limits.MessageRunes-utf8.RuneCountInString(cutMark)
	for i := range text {
		if runes == 0 || i > bytes {
			return text[:lastStart(text, min(i, bytes))] + cutMark
		}
		runes--
	}
	return text[:lastStart(text, bytes)] + cutMark
}

// lastStart is where the last character begins that does not begin behind at.
func lastStart(text string, at int) int {
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return max(at, 0)
}
