package httpapi

import (
	"net/http"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

func (c *call) listRooms() (answer, error) {
	r, err := c.cfg.Engine.Rooms(c.ctx, c.actor)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) getRoom() (answer, error) {
	r, err := c.cfg.Engine.GetRoom(c.ctx, c.actor, c.room)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) putRoom() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	p := &change.SetRoom{Room: c.room}
	for _, err := range []error{
		f.get("title", "a string", &p.Title), f.get("open", "true or false", &p.Open), f.get("read_only", "true or false", &p.ReadOnly),
	} {
		if err != nil {
			return answer{}, err
		}
	}
	r, err := c.cfg.Engine.Do(c.ctx, c.actor, p)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusOK
	if r.Created {
		status = http.StatusCreated
	}
	return reply(status, &wire.RoomReply{Room: &r.Room}), nil
}

func (c *call) listOnline() (answer, error) {
	limit, err := c.limit(c.cfg.Limits.PageMembers)
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Online(c.ctx, c.actor, c.room, limit)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) listMembers() (answer, error) {
	limit, err := c.limit(c.cfg.Limits.PageMembers)
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Members(c.ctx, c.actor, c.room, chat.UserID(c.r.URL.Query().Get("after")), limit)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

// putMember sets a member's role. Without a role it is a join: of oneself, or,
// by an API key, of the user named.
func (c *call) putMember() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var name, word string
	if err := f.get("name", "a string", &name); err != nil {
		return answer{}, err
	}
	if err := f.get("role", "a string", &word); err != nil {
		return answer{}, err
	}
	if !f.has("role") {
		return done, c.join(user, name)
	}
	role, ok := chat.ParseRole(word)
	if !ok || role == chat.RoleNone {
		return answer{}, chat.E(chat.Invalid, "role must be member, moderator, owner or banned")
	}
	return c.changeMember(&change.SetMember{Room: c.room, User: user, Name: name, Role: role})
}

func (c *call) join(user chat.UserID, name string) error {
	a := c.actor
	switch {
	case a.Server:
		a.User, a.Name = user, name
	case user != a.User:
		return chat.E(chat.Invalid, "role is missing")
	}
	if err := chat.CheckName("name", a.Name, c.cfg.Limits.NameBytes); err != nil {
		return err
	}
	_, err := c.cfg.Engine.Join(c.ctx, a, c.room, engine.JoinOptions{Limit: 1})
	return err
}

// deleteMember puts a member out, or leaves.
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

// closeConnections ends every connection of a user, on all nodes.
func (c *call) closeConnections() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	if c.id.Kind != identity.Server {
		return answer{}, chat.E(chat.Forbidden, "only an API key may end connections")
	}
	n, err := c.cfg.Revoke(c.ctx, user)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, []byte(`{"closed":` + strconv.Itoa(n) + `}`)}, nil
}

func (c *call) pathUser() (chat.UserID, error) {
	user := c.r.PathValue("user")
	return chat.UserID(user), chat.CheckID("user", user, c.cfg.Limits.IDBytes)
}
