package engine

import (
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
)

// The host's back end makes a room as it says; a user makes one where users make
// rooms, and then owns it.
func (e *Engine) prepareSetRoom(a *Actor, c *change.SetRoom) error {
	c.By, c.Server, c.Create = a.User, a.Server, nil
	if a.Server || e.cfg.UsersMakeRooms {
		c.Create = &change.RoomSpec{Open: e.cfg.UsersMakeRooms}
	}
	if err := e.checkRoom(c.Room); err != nil {
		return err
	}
	if c.Title != nil {
		if err := chat.CheckName("title", *c.Title, e.cfg.Limits.NameBytes); err != nil {
			return err
		}
	}
	if c.Topic != nil {
		if err := chat.CheckName("topic", *c.Topic, e.cfg.Limits.TopicBytes); err != nil {
			return err
		}
	}
	if err := e.checkAbout(nil, c.Avatar, c.Data); err != nil {
		return err
	}
	if c.Create != nil {
		if err := byNetwork(e.rates.guestRoom, a); err != nil { // whether it is made or changed
			return err
		}
	}
	return e.rates.change(a, c.Room)
}
