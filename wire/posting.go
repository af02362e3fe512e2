package wire

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Posting is a message as a back end writes it: an element of the array that
// POST /v1/messages takes, and an entry of the queues that a node reads (package ingest).
type Posting struct {
	Room     chat.RoomID
	User     chat.UserID // empty: not said
	Key      string
	Text     string
	Name     string
	ReplyTo  chat.Seq
	Mentions []chat.UserID
	Data     json.RawMessage // in canonical form
}

// postingFields are the members of a Posting.
var postingFields = map[string]bool{"room": true, "user": true, "key": true, "message": true, "name": true, "reply_to": true, "mentions": true, "data": true}

// DecodePosting reads a Posting, in which an unknown name is an error. The error is
// chat.Invalid.
func DecodePosting(b []byte) (Posting, error) {
	o, err := DecodeObject(b)
	if err != nil {
		return Posting{}, chat.E(chat.Invalid, "the message is "+chat.Public(err).Text)
	}
	if err := CheckNames("field", maps.Keys(o), postingFields); err != nil {
		return Posting{}, err
	}
	return o.Posting()
}

// Posting returns the members of a Posting and ignores others. The error is
// chat.Invalid, naming the member.
func (o Object) Posting() (Posting, error) {
	var p Posting
	var d decoder
	for _, m := range []struct {
		name string
		read func(name string, v []byte)
	}{
		{"room", func(name string, v []byte) { p.Room = id[chat.RoomID](&d, name, v) }},
		{"user", func(name string, v []byte) { p.User = id[chat.UserID](&d, name, v) }},
		{"key", func(name string, v []byte) { p.Key = id[string](&d, name, v) }},
		{"message", func(name string, v []byte) { p.Text = text[string](&d, name, v) }},
		{"name", func(name string, v []byte) { p.Name = text[string](&d, name, v) }},
		{"reply_to", func(name string, v []byte) {
			n, _ := d.number(name, v)
			p.ReplyTo = chat.Seq(n)
		}},
		{"mentions", func(name string, v []byte) { p.Mentions = d.users(name, v) }},
		{"data", func(_ string, v []byte) { p.Data = d.data(v) }},
	} {
		if v, ok := o[m.name]; ok {
			m.read(m.name, v)
		}
	}
	return p, d.err
}

// CheckNames refuses the first name, in order, that is not among the known ones. what
// says what has the names. The error is chat.Invalid.
func CheckNames(what string, names iter.Seq[string], known map[string]bool) error {
	for _, name := range slices.Sorted(names) {
		if !known[name] {
			return chat.E(chat.Invalid, "unknown "+what+" "+quotedName(name))
		}
	}
	return nil
}

// maxQuotedName is the length up to which an error repeats a name.
const maxQuotedName = 64

// quotedName is a name as an error may show it.
func quotedName(name string) string {
	if len(name) > maxQuotedName || chat.CheckName("name", name, maxQuotedName) != nil {
		return "(one that is not shown)"
	}
	return "\"" + name + "\""
}
