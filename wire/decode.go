package wire

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/roomtide/roomtide/chat"
)

// Decode reads one frame into cmd, which is overwritten. An object without type
// that has a message is the command message (Bare). The error is chat.Invalid, naming the field, or
// chat.UnknownType; cmd.ID is set even then, if the frame let it be read.
// cmd shares no memory with frame. Names are compared exactly, the last of two
// equal names counts, null is the same as absent, unknown names are ignored.
func Decode(frame []byte, cmd *Command) error {
	return decode("", frame, cmd)
}

// DecodeAs reads an object whose type is known from elsewhere (the name of a
// Socket.IO event, the address of an HTTP request). A type in it is ignored.
func DecodeAs(t Type, object []byte, cmd *Command) error {
	return decode(t, object, cmd)
}

func decode(t Type, b []byte, cmd *Command) error {
	*cmd = Command{Type: t}
	d := decoder{cmd: cmd, typed: t != ""}
	if err := scanObject(b, d.member); err != nil {
		return err
	}
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
	if d.afterID && cmd.Type != Members && cmd.Type != Rooms {
		return chat.E(chat.Invalid, "after must be a whole number")
	}
	return nil
}

// commands are the types a client may send.
var commands = func() map[string]Type {
	m := make(map[string]Type)
	for _, t := range []Type{Hello, Join, Leave, Message, Edit, Delete, React, Read, Typing, History, Changes, Members, Online, Rooms, Unread, Users, Ping} {
		m[string(t)] = t
	}
	return m
}()

// decoder fills a command member by member and keeps the first error; it goes on
// behind an error because the id may come later.
type decoder struct {
	cmd     *Command
	typed   bool // the type is known from elsewhere
	afterID bool // the last "after" was a string
	err     error
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
		c.Room = text[chat.RoomID](d, "room", v)
	case "user":
		c.User = text[chat.UserID](d, "user", v)
	case "message":
		c.Text, c.HasText = text[string](d, "message", v), string(v) != "null"
	case "key":
		c.Key = text[string](d, "key", v)
	case "data":
		c.Data = raw(v)
	case "on":
		c.On = d.bool("on", v)
	case "after":
		d.after(v)
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
		n, _ = d.int(name, v)
		c.ReplyTo = chat.Seq(n)
	case "seq":
		n, _ = d.int(name, v)
		c.Seq = chat.Seq(n)
	case "before":
		n, c.HasBefore = d.int(name, v)
		c.Before = chat.Seq(n)
	case "role":
		c.Role = d.role(v)
	case "of":
		c.Of = d.users("of", v)
	case "limit":
		n, _ = d.int(name, v)
		c.Limit = int(n)
	case "around":
		d.around(v)
	case "order":
		c.Order = text[string](d, name, v)
	case "archived":
		on := d.bool(name, v)
		c.Archived = on != nil && *on
	}
}

// after is a number, but for members and rooms a text.
func (d *decoder) after(v []byte) {
	c := d.cmd
	c.After, c.HasAfter, c.AfterID = 0, false, ""
	if d.afterID = v[0] == '"'; d.afterID {
		c.AfterID = text[string](d, "after", v)
		return
	}
	c.After, c.HasAfter = d.int("after", v)
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
		d.fail("role", "member, moderator, owner, banned or muted")
	}
	return r
}

// users reads a list of user ids; nil for null and for an error.
func (d *decoder) users(name string, v []byte) (users []chat.UserID) {
	if json.Unmarshal(v, &users) != nil {
		d.fail(name, "a list of user ids")
		return nil
	}
	return users
}

// raw copies a value without white space, so that it is one line in every encoding.
// nil: the value is null.
func raw(v []byte) json.RawMessage {
	if string(v) == "null" {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return nil // the scanner has checked it
	}
	return b.Bytes()
}
