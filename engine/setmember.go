package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareSetMember(a *Actor, c *change.SetMember) error {
	c.By, c.Server = a.User, a.Server
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	if err := chat.CheckRef("user", string(c.User), e.cfg.Limits.IDBytes); err != nil {
		return err
	}
	c.Known, c.Avatar = "", ""
	if c.Name != nil && !a.Server {
		return chat.E(chat.Forbidden, "only the host's back end gives a member a name")
	}
	if c.Unban && c.Role != chat.RoleNone {
		return chat.E(chat.Invalid, "unban goes with the role none")
	}
	if err := e.checkAbout(c.Name, nil, c.Data); err != nil {
		return err
	}
	switch {
	case c.Until == 0:
	case !c.Role.Ends():
		return chat.E(chat.Invalid, "until is for the roles banned and muted")
	case c.Until <= e.cfg.Now().UnixMilli():
		return chat.E(chat.Invalid, "until is in the past")
	}
	return e.rates.change(a, c.Room)
}
