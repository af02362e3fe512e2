package engine

import (
	"context"
	"strconv"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

func (e *Engine) prepareSetUser(a *Actor, c *change.SetUser) error {
	c.At, c.ByToken = e.cfg.Now().UnixMilli(), false
	if !a.Server {
		return chat.E(chat.Forbidden, "only the host's back end says what users are called")
	}
	if err := chat.CheckID("user", string(c.User), e.cfg.Limits.IDBytes); err != nil {
		return err
	}
	return e.checkAbout(c.Name, c.Avatar, c.Data)
}

func (e *Engine) users(ctx context.Context, users []chat.UserID) (*wire.UsersReply, error) {
	if most := e.cfg.Limits.PageMessages; len(users) > most {
		return nil, chat.E(chat.TooLarge, "at most "+strconv.Itoa(most)+" users at once")
	}
	seen := map[chat.UserID]bool{}
	for _, u := range users {
		if err := chat.CheckRef("user", string(u), e.cfg.Limits.IDBytes); err != nil {
			return nil, err
		}
		if seen[u] {
			return nil, chat.E(chat.Invalid, "a user is asked for twice")
		}
		seen[u] = true
	}
	found, err := e.cfg.Store.Users(ctx, users)
	if err != nil {
		return nil, err
	}
	reply := &wire.UsersReply{}
	space := store.Space{Items: len(users), Bytes: pageBytes}
	for _, id := range users {
		u, ok := found[id]
		if ok && !space.Take(u.Size()) {
			reply.More = true
			break
		}
		if ok {
			reply.Users = append(reply.Users, u)
		}
	}
	return reply, nil
}

// User returns what is known of the user. NotFound.
func (e *Engine) User(ctx context.Context, a Actor, user chat.UserID) (*wire.UserReply, error) {
	r, err := e.Users(ctx, a, []chat.UserID{user})
	if err != nil {
		return nil, err
	}
	if len(r.Users) == 0 {
		return nil, chat.E(chat.NotFound, "nothing is known of this user")
	}
	return &wire.UserReply{User: &r.Users[0]}, nil
}
