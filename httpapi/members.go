package httpapi

import (
	"cmp"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
)

func (c *call) listMembers() (answer, error) {
	limit, err := c.limit(c.cfg.Limits.PageMembers)
	if err != nil {
		return answer{}, err
	}
	q := c.r.URL.Query()
	role := chat.RoleNone
	if word := q.Get("role"); word != "" {
		var known bool
		if role, known = parseRole(word); !known {
			return answer{}, errRole
		}
	}
	return ok(c.cfg.Engine.Members(c.ctx, c.actor, c.room, role, chat.UserID(q.Get("after")), limit))
}

var errRole = chat.E(chat.Invalid, "role must be member, moderator, owner, banned or muted")

func parseRole(word string) (chat.Role, bool) {
	role, ok := chat.ParseRole(word)
	return role, ok && role != chat.RoleNone
}

// putMember sets a member's role. Without a role it is a join: of oneself, or,
// by an API key, of the user named.
func (c *call) putMember() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	m := &change.SetMember{Room: c.room, User: user}
	f, err := c.bodyAbout(&m.Data)
	if err != nil {
		return answer{}, err
	}
	var word string
	var until *time.Time
	if err := cmp.Or(
		f.get("name", "a string", &m.Name), f.get("role", "a string", &word), f.get("until", "a time, as RFC 3339 writes it", &until),
		f.get("unban", "true or false", &m.Unban),
	); err != nil {
		return answer{}, err
	}
	if until != nil {
		m.Until = until.UnixMilli()
	}
	if m.Name != nil && !c.actor.Server {
		return answer{}, chat.E(chat.Forbidden, "only an API key gives a member a name")
	}
	if !f.has("role") {
		return c.join(m)
	}
	var ok bool
	if m.Role, ok = chat.ParseRole(word); !ok {
		return answer{}, chat.E(chat.Invalid, errRole.Text+", or none")
	}
	if c.actor.Server && m.Role.Present() {
		c.cfg.Verifier.Speaks(user)
	}
	return c.changeMember(m)
}

// join makes the user of m a member, and then sets what the back end says of the
// membership beyond the name.
func (c *call) join(m *change.SetMember) (answer, error) {
	a := c.actor
	switch {
	case m.Until != 0:
		return answer{}, chat.E(chat.Invalid, "until needs a role that it ends")
	case a.Server:
		a.User = m.User
		if m.Name != nil {
			a.Name = *m.Name
		}
	case m.User != a.User || m.Data != nil:
		return answer{}, chat.E(chat.Invalid, "role is missing")
	}
	if err := chat.CheckID("user", string(a.User), c.cfg.Limits.IDBytes); err != nil {
		return answer{}, err
	}
	if err := chat.CheckName("name", a.Name, c.cfg.Limits.NameBytes); err != nil {
		return answer{}, err
	}
	if a.Server {
		c.cfg.Verifier.Speaks(a.User)
	}
	r, err := c.cfg.Engine.Join(c.ctx, a, c.room, engine.JoinOptions{Limit: 1})
	if err != nil || !a.Server || m.Data == nil && (m.Name == nil || *m.Name != "") {
		return done, err
	}
	m.Role = r.Role
	return c.changeMember(m)
}

// deleteMember puts a member out, or leaves. A ban stays.
func (c *call) deleteMember() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	if !c.actor.Server && user == c.actor.User {
		return c.changeMember(&change.Leave{Room: c.room})
	}
	return c.changeMember(&change.SetMember{Room: c.room, User: user, Role: chat.RoleNone})
}

func (c *call) changeMember(m change.Change) (answer, error) {
	_, err := c.cfg.Engine.Do(c.ctx, c.actor, m)
	return done, err
}
