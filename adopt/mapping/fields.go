package mapping

import (
	"maps"
	"slices"
)

// Section is a part of a mapping as a source reads it: rows, and expressions of them.
type Section struct {
	Name     string // "message", "member"
	From     From
	Fields   []Field
	Identity []string // names of the fields that tell rows apart where the table has no key
}

// Field returns the expression of a field, "" if there is none.
func (s *Section) Field(name string) string {
	for _, f := range s.Fields {
		if f.Name == name {
			return f.Expr
		}
	}
	return ""
}

// Section of the messages.
func (m *Message) Section() Section {
	fields := given(Field{"room", m.Room}, Field{"user", m.User}, Field{"to", m.To}, Field{"text", m.Text}, Field{"time", m.Time},
		Field{"edited", m.Edited}, Field{"deleted", m.Deleted}, Field{"reply", m.Reply}, Field{"kind", m.Kind})
	for _, name := range slices.Sorted(maps.Keys(m.Data)) {
		fields = append(fields, Field{"data." + name, m.Data[name]})
	}
	return Section{"message", m.From, fields, nil}
}

// Section of rooms.
func (r *Room) Section() Section {
	return Section{"room", r.From, given(Field{"id", r.ID}, Field{"title", r.Title}, Field{"open", r.Open}), []string{"id"}}
}

// Section of members.
func (m *Member) Section() Section {
	fields := given(Field{"room", m.Room}, Field{"user", m.User}, Field{"role", m.Role}, Field{"left", m.Left})
	return Section{"member", m.From, fields, []string{"room", "user"}}
}

// Section of users.
func (u *User) Section() Section {
	return Section{"user", u.From, given(Field{"id", u.ID}, Field{"name", u.Name}), []string{"id"}}
}

// Section of read marks.
func (r *Read) Section() Section {
	fields := given(Field{"room", r.Room}, Field{"user", r.User}, Field{"upto", r.Upto})
	return Section{"read", r.From, fields, []string{"room", "user"}}
}

// Sections are all of them, the messages first.
func (m *Mapping) Sections() []Section {
	all := []Section{m.Message.Section()}
	for i := range m.Rooms {
		all = append(all, m.Rooms[i].Section())
	}
	for i := range m.Members {
		all = append(all, m.Members[i].Section())
	}
	for i := range m.Users {
		all = append(all, m.Users[i].Section())
	}
	for i := range m.Reads {
		all = append(all, m.Reads[i].Section())
	}
	return all
}
