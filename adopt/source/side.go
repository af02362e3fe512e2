package source

import (
	"context"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/chat"
)

// sections reads pages over several side tables, one behind the other: the key of a
// page begins with the number of the table.
func sections[R any](ctx context.Context, s *Tables, all []section, after Key, limit int, read func(number int, key Key, values map[string]string) (R, bool)) ([]R, error) {
	at, behind := 0, Key("")
	if after != "" {
		digit, rest, _ := strings.Cut(string(after), ":")
		if at = int(number(Key(digit))); at < 0 || at >= len(all) {
			return nil, invalid("a page does not begin behind %q", string(after))
		}
		behind = Key(rest)
	}
	for ; at < len(all); at, behind = at+1, "" {
		for {
			page, last, err := sidePage(ctx, s, &all[at], at, behind, limit, read)
			if err != nil || len(page) > 0 {
				return page, err
			}
			if last == behind {
				break
			}
			behind = last
		}
	}
	return nil, nil
}

func sidePage[R any](ctx context.Context, s *Tables, sec *section, at int, after Key, limit int, read func(int, Key, map[string]string) (R, bool)) (page []R, last Key, err error) {
	statement, args, err := sec.page(after, limit)
	if err != nil {
		return nil, after, err
	}
	last = after
	keys, size := len(sec.keys), 0
	err = s.each(ctx, statement, args, 0, keys+len(sec.Fields), func(_ string, values []value) bool {
		var parts []string
		for _, v := range values[:keys] {
			parts = append(parts, string(v))
		}
		last = Key(strings.Join(parts, separator))
		fields := map[string]string{}
		for i, f := range sec.Fields {
			size += len(values[keys+i])
			if v := values[keys+i]; v != nil {
				fields[f.Name] = string(v)
			}
		}
		if r, ok := read(at, Key(string(rune('0'+at%10))+":"+string(last)), fields); ok {
			page = append(page, r)
		}
		return size < pageBytes
	})
	if err != nil {
		err = explained(sec.Name, err)
	}
	return page, last, err
}

// Rooms implements Source.
func (s *Tables) Rooms(ctx context.Context, after Key, limit int) ([]RoomRow, error) {
	return sections(ctx, s, s.rooms, after, limit, func(_ int, key Key, v map[string]string) (RoomRow, bool) {
		id := mapping.Names(v["id"])
		return RoomRow{key, id, s.line(v["title"], s.options.Limits.NameBytes), truth(v["open"])}, s.good("room", id)
	})
}

// Members implements Source.
func (s *Tables) Members(ctx context.Context, after Key, limit int) ([]MemberRow, error) {
	return sections(ctx, s, s.members, after, limit, func(_ int, key Key, v map[string]string) (MemberRow, bool) {
		m := MemberRow{Key: key, Room: mapping.Names(v["room"]), User: v["user"], Role: "member", Left: truth(v["left"])}
		switch r := v["role"]; r {
		case "owner", "moderator", "muted", "banned":
			m.Role = r
		}
		return m, s.good("room", m.Room) && s.good("user", m.User)
	})
}

// Users implements Source.
func (s *Tables) Users(ctx context.Context, after Key, limit int) ([]UserRow, error) {
	return sections(ctx, s, s.users, after, limit, func(_ int, key Key, v map[string]string) (UserRow, bool) {
		return UserRow{key, v["id"], s.line(v["name"], s.options.Limits.NameBytes)}, s.good("user", v["id"])
	})
}

// good reports whether an id can be one of Roomtide; messages of others are problems.
func (s *Tables) good(what, id string) bool {
	return chat.CheckID(what, id, s.options.Limits.IDBytes) == nil
}

// line makes a name or a title of a text: one line, decoded, and not too long.
func (s *Tables) line(text string, most int) string {
	text, _ = s.decoders.name.Decode(text) // these decoders do not fail
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), isLineBreak), " ")
	if len(text) > most {
		text = text[:lastStart(text, most)]
	}
	if chat.CheckName("name", text, most) != nil {
		return ""
	}
	return text
}

func isLineBreak(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029
}
