package wire

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// Imported is a message of another system as an import has it: the fields of change.Imported,
// and the room.
type Imported struct {
	Room      chat.RoomID
	Seq       chat.Seq
	User      chat.UserID
	Name      string
	Key       string
	Text      string
	Data      json.RawMessage
	ReplyTo   chat.Seq
	ReplyItem int   // 1 for the first message of the list; 0: not given; negative: out of range
	Time      int64 // Unix milliseconds, 0: not given
	Edited    int64 // Unix milliseconds, 0: not given
	Deleted   bool

	Unknown []string // names that an import does not have
}

// DecodeImported reads an Imported by the rules of Decode. There are many of them, so it
// reads b once. The error is chat.Invalid, naming the member.
func DecodeImported(b []byte) (m Imported, err error) {
	var d decoder
	err = scanObject(b, func(name, v []byte) {
		switch string(name) {
		case "room":
			m.Room = id[chat.RoomID](&d, "room", v)
		case "user":
			m.User = id[chat.UserID](&d, "user", v)
		case "key":
			m.Key = id[string](&d, "key", v)
		case "message":
			m.Text = text[string](&d, "message", v)
		case "time":
			m.Time = d.time("time", v)
		case "name":
			m.Name = text[string](&d, "name", v)
		case "data":
			m.Data = d.data(v)
		case "deleted":
			on := d.bool("deleted", v)
			m.Deleted = on != nil && *on
		case "edited":
			m.Edited = d.time("edited", v)
		case "seq":
			n, _ := d.number("seq", v)
			m.Seq = chat.Seq(n)
		case "reply_to":
			n, _ := d.number("reply_to", v)
			m.ReplyTo = chat.Seq(n)
		case "reply_item":
			n, ok := d.number("reply_item", v)
			switch m.ReplyItem = 0; {
			case ok && n < 0:
				m.ReplyItem = -1
			case ok:
				m.ReplyItem = int(min(n, math.MaxInt32-1)) + 1
			}
		default:
			if string(v) != "null" && !slices.Contains(m.Unknown, string(name)) {
				m.Unknown = append(m.Unknown, string(name))
			}
		}
	})
	if err == nil {
		err = d.err
	}
	return m, err
}
