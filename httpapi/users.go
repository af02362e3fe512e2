package httpapi

import (
	"net/http"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

// listUsers tells what is known of the users that ?of= names, once for each.
func (c *call) listUsers() (answer, error) {
	of := c.r.URL.Query()["of"]
	if len(of) == 0 {
		return answer{}, chat.E(chat.Invalid, "say which users: ?of=ann&of=ben")
	}
	ids := make([]chat.UserID, len(of))
	for i, id := range of {
		ids[i] = chat.UserID(id)
	}
	r, err := c.cfg.Engine.Users(c.ctx, ids)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) getUser() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.User(c.ctx, user)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

// putUser says what a user is called. Fields that are missing stay as they are.
func (c *call) putUser() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	about, err := f.about()
	if err != nil {
		return answer{}, err
	}
	u := &change.SetUser{User: user, Data: about}
	for _, err := range []error{f.get("name", "a string", &u.Name), f.get("avatar", "a string", &u.Avatar)} {
		if err != nil {
			return answer{}, err
		}
	}
	r, err := c.cfg.Engine.Do(c.ctx, c.actor, u)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, &wire.UserReply{User: &r.User}), nil
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
	return chat.UserID(user), chat.CheckRef("user", user, c.cfg.Limits.IDBytes)
}
