package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

// Decode reads one frame into cmd, which is overwritten. An object without type
// that has a message is the command message (Bare). The error is chat.Invalid, naming the field, or
// chat.UnknownType; cmd.ID is set even then, if the frame let it be read.
// cmd shares no memory with frame. Names are compared exactly, the last of two
// equal names counts, null is the same as absent, unknown names are ignored. A whole
// number where an id or a key is meant is its decimal text, and decimal text where a
// number is meant is the number (but for the command's id, which is repeated in the
// reply); Data is in canonical form.
func Decode(frame []byte, cmd *Command) error {
	return decode("", frame, cmd)
}

// DecodeAs reads an object whose type is known from elsewhere (the name of a
// Socket.IO event). A type in it is ignored. As no fields at all it also takes null
// and the empty array, which is how PHP writes an empty object; and for the commands
// that one field is enough for, the value of that field alone: the room, and for a
// message the text (Alone).
func DecodeAs(t Type, object []byte, cmd *Command) error {
	return decode(t, object, cmd)
}

func decode(t Type, b []byte, cmd *Command) error {
	*cmd = Command{Type: t}
	d := decoder{cmd: cmd, typed: t != ""}
	if !d.typed || !d.short(b) {
		if err := scanObject(b, d.member); err != nil {
			return err
		}
	}
	d.page()
	d.push()
	switch {
	case d.err != nil:
		return d.err
	case cmd.Type == "" && cmd.HasText:
		cmd.Type, cmd.Bare = Message, true
	case cmd.Type == "":
		return chat.E(chat.Invalid, "type is missing")
	case commands[string(cmd.Type)] == "":
		return chat.E(chat.UnknownType, "unknown type")
	}
	return nil
}

// short reads what stands for an object in DecodeAs.
func (d *decoder) short(b []byte) bool {
	v := bytes.TrimSpace(b)
	switch {
	case string(v) == "null" || string(v) == "[]":
		return true
	case len(v) == 0 || v[0] != '"' && !isInt(v) || !utf8.Valid(v) || !json.Valid(v):
		return false
	case d.cmd.Type == Message && v[0] == '"':
		d.cmd.Text, d.cmd.HasText, d.cmd.Alone = string(unescaped(v)), true, true
	case roomAlone[d.cmd.Type]:
		d.cmd.Room = id[chat.RoomID](d, "room", v)
	default:
		return false
	}
	return true
}

// decoder fills a command member by member and keeps the first error; it goes on
// behind an error because the id may come later.
type decoder struct {
	cmd   *Command
	typed bool   // the type is known from elsewhere
	after []byte // the last "after", as it is written
	err   error
	late  []member // members with names that the command may have, read at the end
}

type member struct {
	name  string
	value []byte
}

func (d *decoder) member(name, v []byte) {
	c := d.cmd
	switch string(name) {
	case "type":
		if !d.typed {
			c.Type = d.typ(v)
		}
	case "id":
		c.ID, c.HasID = d.int("id", v)
	case "room":
		c.Room = id[chat.RoomID](d, "room", v)
	case "user":
		c.User = id[chat.UserID](d, "user", v)
	case "message":
		c.Text, c.HasText = text[string](d, "message", v), string(v) != "null"
	case "key":
		c.Key = id[string](d, "key", v)
	case "data":
		c.Data = d.data(v)
	case "on":
		c.On = d.bool("on", v)
	case "after":
		d.after = v
	default:
		d.rare(string(name), v)
	}
}

// typ reads the type; a known one is not allocated.
func (d *decoder) typ(v []byte) Type {
	if v[0] == '"' {
		if t, ok := commands[string(v[1:len(v)-1])]; ok {
			return t
		}
	}
	return text[Type](d, "type", v)
}

// rare reads the members that frequent commands do not have.
func (d *decoder) rare(name string, v []byte) {
	c := d.cmd
	var n int64
	switch name {
	case "token":
		c.Token = text[string](d, name, v)
	case "name":
		c.Name = text[string](d, name, v)
	case "emoji":
		c.Emoji = text[string](d, name, v)
	case "reply_to":
		n, _ = d.number(name, v)
		c.ReplyTo = chat.Seq(n)
	case "seq":
		n, _ = d.number(name, v)
		c.Seq = chat.Seq(n)
	case "before":
		n, c.HasBefore = d.number(name, v)
		c.Before = chat.Seq(n)
	case "role":
		c.Role, c.HasRole = d.role(v), string(v) != "null"
	case "of":
		c.Of = d.users("of", v)
	case "mentions":
		c.Mentions = d.users("mentions", v)
	case "limit":
		n, _ = d.number(name, v)
		c.Limit = int(n)
	case "around":
		d.around(v)
	case "order":
		c.Order = text[string](d, name, v)
	case "archived":
		on := d.bool(name, v)
		c.Archived = on != nil && *on
	default:
		d.admin(name, v)
	}
}

// admin reads the members of the commands that change rooms and memberships.
func (d *decoder) admin(name string, v []byte) {
	c := d.cmd
	switch name {
	case "title":
		c.Title = d.optional(name, v)
	case "topic":
		c.Topic = d.optional(name, v)
	case "avatar":
		c.Avatar = d.optional(name, v)
	case "open":
		c.Open = d.bool(name, v)
	case "read_only":
		c.ReadOnly = d.bool(name, v)
	case "member":
		c.Member = id[chat.UserID](d, name, v)
	case "until":
		c.Until = d.time(name, v)
	case "unban":
		on := d.bool(name, v)
		c.Unban = on != nil && *on
	default:
		if pushNames[name] {
			d.late = append(d.late, member{name, v})
		}
	}
}

// page reads the last "after" once the type is known: it is a number, but for
// members a user id, for push a room id, and for rooms the next of the page before.
func (d *decoder) page() {
	switch c := d.cmd; {
	case d.after == nil:
	case c.Type == Members || c.Type == Rooms || c.Type == GetPush:
		c.AfterID = id[string](d, "after", d.after)
	default:
		c.After, c.HasAfter = d.number("after", d.after)
	}
}

// push reads the fields of the commands about devices and push settings once the type is
// known: others may have members of these names, which are ignored.
func (d *decoder) push() {
	switch c := d.cmd; c.Type {
	case RegisterDevice, DropDevice, SetPush:
		for _, m := range d.late {
			c.Push.read(d, m.name, m.value)
		}
	}
}

// around is the number of a message, or the word read.
func (d *decoder) around(v []byte) {
	c := d.cmd
	c.Around, c.AroundRead = 0, string(v) == `"read"`
	if !c.AroundRead {
		n, ok := d.int("around", v)
		if c.Around = chat.Seq(n); ok && n < 1 {
			d.fail("around", `a message number or "read"`)
		}
	}
}

func (d *decoder) fail(name, must string) {
	if d.err == nil {
		d.err = chat.E(chat.Invalid, name+" must be "+must)
	}
}

func text[S ~string](d *decoder, name string, v []byte) S {
	switch {
	case v[0] == '"':
		return S(unescaped(v))
	case string(v) != "null":
		d.fail(name, "a string")
	}
	return ""
}

// id reads a text that clients in other languages may have as a number.
func id[S ~string](d *decoder, name string, v []byte) S {
	if isInt(v) {
		return S(v)
	}
	return text[S](d, name, v)
}

// number reads a whole number that clients may have as a text.
func (d *decoder) number(name string, v []byte) (n int64, ok bool) {
	if v[0] == '"' && isInt(v[1:len(v)-1]) {
		v = v[1 : len(v)-1]
	}
	return d.int(name, v)
}

// optional reads a text that may be empty and yet there; nil for null.
func (d *decoder) optional(name string, v []byte) *string {
	if string(v) == "null" {
		return nil
	}
	s := text[string](d, name, v)
	return &s
}

// data reads opaque JSON.
func (d *decoder) data(v []byte) json.RawMessage {
	if string(v) == "null" {
		return nil
	}
	out, err := canonical(v)
	if err != nil && d.err == nil {
		d.err = err
	}
	return out
}

// int reads a whole number; ok is false for null and for an error.
func (d *decoder) int(name string, v []byte) (n int64, ok bool) {
	if string(v) == "null" {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		d.fail(name, "a whole number")
		return 0, false
	}
	return n, true
}

func (d *decoder) bool(name string, v []byte) *bool {
	switch string(v) {
	case "true", "false":
		b := v[0] == 't'
		return &b
	case "null":
		return nil
	}
	d.fail(name, "true or false")
	return nil
}

// role reads the name of a role; that of one that is no member is none.
func (d *decoder) role(v []byte) chat.Role {
	r, ok := chat.ParseRole(text[string](d, "role", v))
	if !ok && string(v) != "null" {
		d.fail("role", "member, moderator, owner, banned, muted or none")
	}
	return r
}

// users reads a list of user ids; nil for null and for an error.
func (d *decoder) users(name string, v []byte) (users []chat.UserID) {
	var items []json.RawMessage
	if json.Unmarshal(v, &items) != nil {
		d.fail(name, "a list of user ids")
		return nil
	}
	for _, item := range items {
		if item[0] != '"' && !isInt(item) {
			d.fail(name, "a list of user ids")
			return nil
		}
		users = append(users, id[chat.UserID](d, name, item))
	}
	return users
}

// time reads a time, 0 for null and for an error.
func (d *decoder) time(name string, v []byte) int64 {
	s := text[string](d, name, v)
	if s == "" {
		return 0
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d.fail(name, "a time, as RFC 3339 writes it")
		return 0
	}
	return at.UnixMilli()
}
