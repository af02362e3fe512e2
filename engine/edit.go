package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

func (e *Engine) prepareEdit(a *Actor, c *change.Edit) error {
	c.User, c.Server = a.User, a.Server
	d := chat.Draft{Text: c.Text, Data: c.Data}
	if err := d.Check(&e.cfg.Limits); err != nil {
		return err
	}
	return e.checkMessage(a, c.Room, c.Seq)
}

// checkMessage is what every change of a message that exists is checked for.
func (e *Engine) checkMessage(a *Actor, room chat.RoomID, seq chat.Seq) error {
	if err := e.checkRoom(room); err != nil {
		return err
	}
	if seq <= 0 {
		return chat.E(chat.Invalid, "seq is missing or not a message number")
	}
	return e.rates.change(a, room)
}
