package httpapi

import (
	"cmp"
	"fmt"
	"net/http"

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
	return ok(c.cfg.Engine.Users(c.ctx, c.actor, ids))
}

func (c *call) getUser() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.User(c.ctx, c.actor, user))
}

// putUser says what a user is called. Fields that are missing stay as they are.
func (c *call) putUser() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	u := &change.SetUser{User: user}
	f, err := c.bodyAbout(&u.Data)
	if err != nil {
		return answer{}, err
	}
	if err := cmp.Or(f.get("name", "a string", &u.Name), f.get("avatar", "a string", &u.Avatar)); err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Do(c.ctx, c.actor, u)
	if err != nil {
		return answer{}, err
	}
	c.cfg.Verifier.Speaks(user)
	return reply(http.StatusOK, &wire.UserReply{User: &r.User}), nil
}

// closeConnections ends every connection of a user, on all nodes. Its tokens stay
// good.
func (c *call) closeConnections() (answer, error) {
	user, err := c.userOfKey("only an API key may end connections")
	if err != nil {
		return answer{}, err
	}
	n, err := c.cfg.Revoke(c.ctx, user)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, fmt.Appendf(nil, `{"closed":%d}`, n)}, nil
}

// endTokens refuses every token of the user that was made until now, and ends what
// they have opened.
func (c *call) endTokens() (answer, error) {
	user, err := c.userOfKey("only an API key may end tokens")
	if err != nil {
		return answer{}, err
	}
	notBefore, err := c.cfg.Engine.EndTokens(c.ctx, user)
	if err != nil {
		return answer{}, err
	}
	n, err := c.cfg.Revoke(c.ctx, user)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, fmt.Appendf(nil, `{"not_before":%d,"closed":%d}`, notBefore, n)}, nil
}

func (c *call) pathUser() (chat.UserID, error) {
	user := c.r.PathValue("user")
	return chat.UserID(user), chat.CheckRef("user", user, c.cfg.Limits.IDBytes)
}

// userOfKey returns {user}, for an API key.
func (c *call) userOfKey(others string) (chat.UserID, error) {
	user, err := c.pathUser()
	if err == nil && c.id.Kind != identity.Server {
		err = chat.E(chat.Forbidden, others)
	}
	return user, err
}
