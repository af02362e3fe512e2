package chat

// The sizes below are about what a value takes in an answer, as JSON with its
// escapes: by them pages are cut, and questions are charged. fixed is the names of
// the fields and the numbers.

// Size is about how many bytes the message takes in an answer.
func (m *Message) Size() int {
	const fixed = 160
	n := fixed + TextSize(m.Text) + TextSize(m.Key) + TextSize(string(m.User)) + len(m.Data)
	for _, u := range m.Mentions {
		n += TextSize(string(u)) + 3
	}
	for i := range m.Reactions {
		n += m.Reactions[i].Size()
	}
	return n
}

// Size is about how many bytes the reaction takes in an answer.
func (r *Reaction) Size() int {
	const fixed = 40
	n := fixed + TextSize(r.Emoji)
	for _, u := range r.Users {
		n += TextSize(string(u)) + 3
	}
	return n
}

// Size is about how many bytes the member takes in an answer.
func (m *Member) Size() int {
	const fixed = 100
	return fixed + TextSize(string(m.User)) + TextSize(m.Name) + TextSize(m.Avatar) + len(m.Data)
}

// Size is about how many bytes the room takes in an answer.
func (r *Room) Size() int {
	const fixed = 200
	return fixed + TextSize(string(r.ID)) + TextSize(r.Title) + TextSize(r.Topic) + TextSize(r.Avatar) + len(r.Data)
}

// Size is about how many bytes the user takes in an answer.
func (u *User) Size() int {
	const fixed = 50
	return fixed + TextSize(string(u.ID)) + TextSize(u.Name) + TextSize(u.Avatar) + len(u.Data)
}

// TextSize is how many bytes s takes in JSON: a control character takes six.
func TextSize(s string) int {
	n := len(s)
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b < ' ':
			n += 5
		case b == '"', b == '\\':
			n++
		case b == 0xE2 && i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xA8: // U+2028, U+2029
			n += 3
		}
	}
	return n
}
