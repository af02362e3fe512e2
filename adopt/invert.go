package adopt

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/decode"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/chat"
)

// inverse is a mapping read backwards: how a message becomes a row.
type inverse struct {
	table, key string // of the messages; the key's column
	room       string // column of the room; or
	pair       bool   // the room is dm() of two columns: the author's and that of the other one
	to         string // the other member's, "" if there is none
	user, text string
	time       string
	clock      // of its times
	edited     string
	deleted    *mark // how a row says that the message is gone; nil: the row goes
	encode     []func(string) string
	decode     decode.Pipeline
	columns    map[string]string // further columns and their SQL values
}

// mark is a column whose value says something.
type mark struct {
	column string
	value  string // SQL
	time   bool   // the value is the time of it
}

var (
	isNotNull = regexp.MustCompile(`(?i)^(\S+)\s+IS\s+NOT\s+NULL$`)
	isEqual   = regexp.MustCompile(`^(\S+?)\s*=\s*('[^']*'|-?\d+)$`)
)

// invert reads the mapping backwards, or says why it cannot be.
func invert(m *mapping.Mapping) (*inverse, error) {
	msg := &m.Message
	zone, err := time.LoadLocation(m.Source.TZ)
	if err != nil {
		return nil, err
	}
	table := msg.From.Table()
	in := &inverse{table: table, clock: clock{msg.Unit, zone}, columns: m.Mirror.Columns}
	var ok bool
	column := func(what, expr string) string {
		c, plain := msg.Column(expr)
		if !plain && ok {
			err = oneWay("message." + what + " is not a column of " + table)
		}
		ok = ok && plain
		return c
	}
	ok = true
	switch {
	case m.Mirror.Off:
		return nil, oneWay("mirror.off is set")
	case msg.From.Glob():
		return nil, oneWay("message.from stands for all tables like " + table + ", and it is not known into which of them a new row goes")
	case table == "":
		return nil, oneWay("message.from is not one table")
	}
	in.user, in.text = column("user", msg.User), column("text", msg.Text)
	if msg.Time != "" && msg.Unit != "none" {
		in.time = column("time", msg.Time)
	}
	if a, b, both := mapping.Pair(msg.Room); both && msg.Join == "" && (a == in.user || b == in.user) {
		in.pair, in.to = true, a
		if a == in.user {
			in.to = b
		}
	} else {
		in.room = column("room", msg.Room)
	}
	if !ok {
		return nil, err
	}
	if c, plain := msg.Column(msg.Edited); plain {
		in.edited = c
	}
	if in.deleted, err = deletedMark(msg); err != nil {
		return nil, err
	}
	return in, in.encoders(msg.Decode)
}

// OneWay says why what is said in Roomtide cannot be written into the old table, "" if it can.
func OneWay(m *mapping.Mapping) string {
	if _, err := invert(m); err != nil {
		return chat.Public(err).Text
	}
	return ""
}

// OneWayMarks says which read marks that are set in Roomtide cannot be written into the old chat,
// and why.
func OneWayMarks(m *mapping.Mapping) []string {
	_, why := invertReads(m)
	return why
}

func oneWay(why string) error {
	return chat.E(chat.Invalid, "what is said in Roomtide is not written into the old table: "+why)
}

func deletedMark(msg *mapping.Message) (*mark, error) {
	expr := msg.Deleted
	if expr == "" {
		return nil, nil
	}
	if c, ok := msg.Column(expr); ok {
		return &mark{column: c, value: "1"}, nil
	}
	if g := isNotNull.FindStringSubmatch(expr); g != nil {
		if c, ok := msg.Column(g[1]); ok {
			return &mark{column: c, time: true}, nil
		}
	}
	if g := isEqual.FindStringSubmatch(expr); g != nil {
		if c, ok := msg.Column(g[1]); ok {
			return &mark{column: c, value: g[2]}, nil
		}
	}
	return nil, oneWay("message.deleted cannot be turned around; columns, column IS NOT NULL and column = value can")
}

// encoders turn the decoders around, the last one first.
func (in *inverse) encoders(names []string) (err error) {
	for i := len(names) - 1; i >= 0; i-- {
		base, _, _ := strings.Cut(names[i], ":")
		switch base {
		case "repair_utf8", "bbcode":
		case "entities":
			in.encode = append(in.encode, html.EscapeString)
		case "html":
			in.encode = append(in.encode, func(s string) string { return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>\n") })
		case "slashes":
			in.encode = append(in.encode, strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`).Replace)
		case "phpbb_xml":
			in.encode = append(in.encode, func(s string) string {
				return "<t>" + strings.ReplaceAll(html.EscapeString(s), "\n", "<br/>\n") + "</t>"
			})
		default:
			return oneWay("the decoder " + base + " cannot be turned around")
		}
	}
	in.decode, err = decode.New(names, nil)
	return err
}

// body is a text as the old chat stores it. exact is false if it would be read back as
// another one.
func (in *inverse) body(text string) (body string, exact bool) {
	body = text
	for _, e := range in.encode {
		body = e(body)
	}
	back, err := in.decode.Decode(body)
	return body, err == nil && back == text
}

// clock is how the old chat writes times.
type clock struct {
	unit string
	zone *time.Location
}

// at is a time as a column has it.
func (c clock) at(t time.Time) any {
	switch c.unit {
	case "s":
		return t.Unix()
	case "ms":
		return t.UnixMilli()
	case "us":
		return t.UnixMicro()
	case "1e-4":
		return t.UnixMicro() / 100
	}
	return t.In(c.zone).Format("2006-01-02 15:04:05")
}

// shown is the time that a column which holds at says.
func (c clock) shown(t time.Time) time.Time {
	switch c.unit {
	case "ms", "us", "1e-4":
		return t.Truncate(time.Millisecond)
	}
	return t.Truncate(time.Second)
}

// other is the other member of the room of two.
func (in *inverse) other(room, user string) (string, error) {
	rest, ok := strings.CutPrefix(room, "dm-")
	if a, found := strings.CutPrefix(rest, user+"-"); ok && found && mapping.DM(user, a) == room {
		return a, nil
	}
	if b, found := strings.CutSuffix(rest, "-"+user); ok && found && mapping.DM(user, b) == room {
		return b, nil
	}
	return "", chat.E(chat.Invalid, fmt.Sprintf("room %s is none of two users, of whom %s is one: the old table has no place for it", strconv.Quote(room), strconv.Quote(user)))
}
