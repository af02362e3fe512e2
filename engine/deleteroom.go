package engine

import "github.com/roomtide/roomtide/change"

func (e *Engine) prepareDeleteRoom(a *Actor, c *change.DeleteRoom) error {
	c.By, c.Server = a.User, a.Server
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	return e.rates.change(a, c.Room)
}
