package engine

import "github.com/roomtide/roomtide/change"

func (e *Engine) prepareDelete(a *Actor, c *change.Delete) error {
	c.User, c.Server = a.User, a.Server
	return e.checkMessage(a, c.Room, c.Seq)
}
