package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/roomtide/roomtide/chat"
)

// The text form of rows is one JSON object a line. It is canonical: a row has one
// form, whatever engine it is read from, so that rows of two databases are equal
// exactly if their lines are. Exports consist of it, and Digests are computed over
// it. Fields that are zero are left out, the others are in the order of rowLine. A
// golden test holds it still.

// rowLine is a line: Type, then the fields that a row of that type has.
type rowLine struct {
	Type string `json:"type"`

	// Keys.
	Room  chat.RoomID `json:"room,omitempty"`
	Seq   chat.Seq    `json:"seq,omitempty"`
	Emoji string      `json:"emoji,omitempty"`
	User  chat.UserID `json:"user,omitempty"` // of a message its author
	Node  string      `json:"node,omitempty"`
	Nodes string      `json:"nodes,omitempty"`

	Device        string `json:"device,omitempty"`
	AddressDigest string `json:"address_digest,omitempty"`

	Rev        chat.Rev `json:"rev,omitempty"`
	CreatedRev chat.Rev `json:"created_rev,omitempty"` // messages: Created
	InfoRev    chat.Rev `json:"info_rev,omitempty"`
	Floor      chat.Rev `json:"floor,omitempty"`
	LastSeq    chat.Seq `json:"last_seq,omitempty"`
	Read       chat.Seq `json:"read,omitempty"`
	Members    int      `json:"members,omitempty"`
	Role       string   `json:"role,omitempty"` // chat.Role.String; left out: none
	Until      int64    `json:"until,omitempty"`
	Since      int64    `json:"since,omitempty"`
	Time       int64    `json:"time,omitempty"`
	Created    int64    `json:"created,omitempty"` // rooms
	Active     int64    `json:"active,omitempty"`
	Edited     int64    `json:"edited,omitempty"`
	Named      int64    `json:"named,omitempty"`
	NotBefore  int64    `json:"not_before,omitempty"`
	Open       bool     `json:"open,omitempty"`
	ReadOnly   bool     `json:"read_only,omitempty"`
	Archived   bool     `json:"archived,omitempty"`
	Deleted    bool     `json:"deleted,omitempty"`
	Claimed    bool     `json:"claimed,omitempty"`
	Key        string   `json:"key,omitempty"`
	Digest     int64    `json:"digest,omitempty"`
	ReplyTo    chat.Seq `json:"reply_to,omitempty"`
	Name       string   `json:"name,omitempty"`
	Title      string   `json:"title,omitempty"`
	Topic      string   `json:"topic,omitempty"`
	Avatar     string   `json:"avatar,omitempty"`
	Text       string   `json:"text,omitempty"`

	Mentions []chat.UserID `json:"mentions,omitempty"`

	// Of devices, and of what they are sent.

	Provider    string `json:"provider,omitempty"`
	Address     string `json:"address,omitempty"`
	Language    string `json:"language,omitempty"`
	Registered  int64  `json:"registered,omitempty"`
	Seen        int64  `json:"seen,omitempty"`
	Level       string `json:"level,omitempty"` // chat.PushLevel.String; left out: default
	MuteUntil   int64  `json:"mute_until,omitempty"`
	QuietFrom   int    `json:"quiet_from,omitempty"`
	QuietTo     int    `json:"quiet_to,omitempty"`
	TimeZone    string `json:"time_zone,omitempty"`
	HideContent bool   `json:"hide_content,omitempty"`
	Made        int64  `json:"made,omitempty"`
	State       string `json:"state,omitempty"` // PushState.String; left out: waiting
	Silent      bool   `json:"silent,omitempty"`
	Mention     bool   `json:"mention,omitempty"`
	Shown       bool   `json:"shown,omitempty"`
	Due         int64  `json:"due,omitempty"`
	Expires     int64  `json:"expires,omitempty"`
	Attempts    int    `json:"attempts,omitempty"`
	Reason      string `json:"reason,omitempty"`

	// What applications keep, as it is if it is JSON without white space, which it is
	// unless something else wrote it; as a text otherwise, and null too.
	Data     json.RawMessage `json:"data,omitempty"`
	DataText string          `json:"data_text,omitempty"`
}

var (
	errNotUTF8 = errors.New("it has text that is not UTF-8")
	errMention = errors.New("it mentions what is no user id")
	errRole    = errors.New("its role is unknown")
)

// WriteLines writes the lines of the rows, in the order of their tables.
func (r *Rows) WriteLines(w io.Writer) error {
	enc := newLineEncoder(w)
	return r.eachLine(func(_ RowKey, l *rowLine) error { return enc.Encode(l) })
}

func newLineEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// eachLine calls fn for the line of each row, in the order of their tables.
func (r *Rows) eachLine(fn func(RowKey, *rowLine) error) error {
	for _, table := range []func() error{
		func() error { return linesOf(r.Rooms, fn) },
		func() error { return linesOf(r.Members, fn) },
		func() error { return linesOf(r.Messages, fn) },
		func() error { return linesOf(r.Reactions, fn) },
		func() error { return linesOf(r.Online, fn) },
		func() error { return linesOf(r.UserRooms, fn) },
		func() error { return linesOf(r.Users, fn) },
		func() error { return linesOf(r.Access, fn) },
		func() error { return linesOf(r.Devices, fn) },
		func() error { return linesOf(r.PushSettings, fn) },
		func() error { return linesOf(r.PushJobs, fn) },
		func() error { return linesOf(r.PushOwners, fn) },
		func() error { return linesOf(r.UserNodes, fn) },
	} {
		if err := table(); err != nil {
			return err
		}
	}
	return nil
}

func linesOf[R Row](rows []R, fn func(RowKey, *rowLine) error) error {
	for i := range rows {
		k := KeyOf(&rows[i])
		l, err := lineOf(&rows[i])
		if err != nil {
			return fmt.Errorf("row %+v cannot be written: %w", k, err)
		}
		if err := fn(k, l); err != nil {
			return err
		}
	}
	return nil
}

// lineOf is the line of a row.
func lineOf[R Row](row *R) (*rowLine, error) {
	l := &rowLine{}
	role, data := chat.RoleNone, ""
	switch r := any(row).(type) {
	case *chat.Room:
		*l = rowLine{Type: "room", Room: r.ID, Title: r.Title, Topic: r.Topic, Avatar: r.Avatar, Open: r.Open, ReadOnly: r.ReadOnly,
			LastSeq: r.LastSeq, Rev: r.Rev, InfoRev: r.InfoRev, Members: r.Members, Created: r.Created, Active: r.Active,
			Archived: r.Archived, Deleted: r.Deleted, Floor: r.Floor}
		data = r.Data
	case *chat.Member:
		*l = rowLine{Type: "member", Room: r.Room, User: r.User, Name: r.Name, Avatar: r.Avatar, Until: r.Until, Rev: r.Rev, Since: r.Since}
		role, data = r.Role, r.Data
	case *chat.Message:
		*l = rowLine{Type: "message", Room: r.Room, Seq: r.Seq, Rev: r.Rev, CreatedRev: r.Created, User: r.User, Name: r.Name, Text: r.Text,
			Time: r.Time, Key: r.Key, Digest: r.Digest, ReplyTo: r.ReplyTo, Edited: r.Edited, Deleted: r.Deleted, Mentions: r.Mentions}
		data = string(r.Data)
	case *ReactionChange:
		*l = rowLine{Type: "reaction", Room: r.Room, Seq: r.Seq, Emoji: r.Emoji, User: r.User, Time: r.Time}
	case *OnlineChange:
		*l = rowLine{Type: "online", Room: r.Room, User: r.User, Node: r.Node}
	case *UserRoom:
		*l = rowLine{Type: "user_room", Room: r.Room, User: r.User, Rev: r.Rev, Read: r.Read}
		role = r.Role
	case *chat.User:
		*l = rowLine{Type: "user", User: r.ID, Name: r.Name, Avatar: r.Avatar, Named: r.Named}
		data = r.Data
	case *chat.Access:
		*l = rowLine{Type: "access", User: r.User, NotBefore: r.NotBefore, Claimed: r.Claimed}
	default:
		var err error
		if *l, data, err = pushLine(row); err != nil {
			return nil, err
		}
	}
	if role != chat.RoleNone {
		if l.Role = role.String(); l.Role == chat.RoleNone.String() {
			return nil, errRole
		}
	}
	l.setData(data)
	return l, l.check()
}

// setData sets what an application keeps.
func (l *rowLine) setData(data string) {
	var compact bytes.Buffer
	if data != "" && data != "null" && utf8.ValidString(data) && json.Compact(&compact, []byte(data)) == nil && compact.String() == data {
		l.Data = json.RawMessage(data)
	} else {
		l.DataText = data
	}
}

// check returns an error if there is a text that JSON does not keep as it is.
func (l *rowLine) check() error {
	for _, s := range []string{string(l.Room), l.Emoji, string(l.User), l.Node, l.Nodes, l.Key, l.Name, l.Title, l.Topic, l.Avatar, l.Text, l.DataText,
		l.Device, l.Provider, l.Address, l.Language, l.TimeZone, l.Reason} {
		if !utf8.ValidString(s) {
			return errNotUTF8
		}
	}
	for _, id := range l.Mentions {
		if id == "" || !utf8.ValidString(string(id)) || strings.Contains(string(id), "\n") {
			return errMention
		}
	}
	return nil
}

// DecodeLine reads a line that WriteLines has written, or another form of the same
// JSON object, and appends the row to rows. A field that a row of the type does not
// have is an error.
func DecodeLine(line []byte, rows *Rows) error {
	if !utf8.Valid(line) {
		return errNotUTF8
	}
	var l rowLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something behind the object")
	}
	if l.Role == chat.RoleNone.String() {
		l.Role = ""
	}
	if len(l.Mentions) == 0 {
		l.Mentions = nil
	}
	if err := l.compactData(); err != nil {
		return err
	}
	return l.appendTo(rows)
}

// compactData brings Data and DataText into the canonical form.
func (l *rowLine) compactData() error {
	if string(l.Data) == "null" || len(l.Data) == 0 {
		l.Data = nil
	} else if l.DataText != "" {
		return errors.New("it has data twice")
	}
	if l.Data == nil {
		text := l.DataText
		l.DataText = ""
		l.setData(text)
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, l.Data); err != nil {
		return err
	}
	l.Data = compact.Bytes()
	return nil
}

// appendTo appends the row of the line to rows.
func (l *rowLine) appendTo(rows *Rows) error {
	role, known := chat.RoleNone, true
	if l.Role != "" {
		if role, known = chat.ParseRole(l.Role); !known {
			return errRole
		}
	}
	data := string(l.Data) + l.DataText
	switch l.Type {
	case "room":
		return appendRow(l, &rows.Rooms, chat.Room{ID: l.Room, Title: l.Title, Topic: l.Topic, Avatar: l.Avatar, Data: data, Open: l.Open,
			ReadOnly: l.ReadOnly, LastSeq: l.LastSeq, Rev: l.Rev, InfoRev: l.InfoRev, Members: l.Members, Created: l.Created,
			Active: l.Active, Archived: l.Archived, Deleted: l.Deleted, Floor: l.Floor})
	case "member":
		return appendRow(l, &rows.Members, chat.Member{Room: l.Room, User: l.User, Name: l.Name, Avatar: l.Avatar, Data: data, Role: role,
			Until: l.Until, Rev: l.Rev, Since: l.Since})
	case "message":
		m := chat.Message{Room: l.Room, Seq: l.Seq, Rev: l.Rev, Created: l.CreatedRev, User: l.User, Name: l.Name, Text: l.Text,
			Time: l.Time, Key: l.Key, Digest: l.Digest, ReplyTo: l.ReplyTo, Edited: l.Edited, Deleted: l.Deleted, Mentions: l.Mentions}
		if data != "" {
			m.Data = []byte(data)
		}
		return appendRow(l, &rows.Messages, m)
	case "reaction":
		return appendRow(l, &rows.Reactions, ReactionChange{ReactionKey: ReactionKey{Room: l.Room, Seq: l.Seq, Emoji: l.Emoji, User: l.User},
			On: true, Time: l.Time})
	case "online":
		return appendRow(l, &rows.Online, OnlineChange{Room: l.Room, OnlineEntry: OnlineEntry{User: l.User, Node: l.Node}, On: true})
	case "user_room":
		return appendRow(l, &rows.UserRooms, UserRoom{User: l.User, Room: l.Room, Role: role, Rev: l.Rev, Read: l.Read})
	case "user":
		return appendRow(l, &rows.Users, chat.User{ID: l.User, Name: l.Name, Avatar: l.Avatar, Data: data, Named: l.Named})
	case "access":
		return appendRow(l, &rows.Access, chat.Access{User: l.User, NotBefore: l.NotBefore, Claimed: l.Claimed})
	case "":
		return errors.New("it has no type")
	}
	return l.appendPush(data, rows)
}

// appendRow appends a row that was made of the line, unless the line had more to say.
func appendRow[R Row](l *rowLine, to *[]R, row R) error {
	again, err := lineOf(&row)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(l, again) {
		return fmt.Errorf("it has fields that a row of type %s does not have", l.Type)
	}
	k := KeyOf(&row)
	missing := k.ID == ""
	switch k.Table {
	case TableMembers, TableUserRooms, TableDevices:
		missing = missing || k.A == ""
	case TableMessages:
		missing = missing || k.Seq < 1
	case TableReactions:
		missing = missing || k.Seq < 1 || k.A == "" || k.B == ""
	case TableOnline, TablePushJobs:
		missing = missing || k.A == "" || k.B == ""
	}
	if missing {
		return errors.New("a part of its key is missing")
	}
	*to = append(*to, row)
	return nil
}
