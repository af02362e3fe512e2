package httpapi

import (
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func (c *call) listDevices() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.Devices(c.ctx, c.actor, user))
}

// getReach tells whether a user is connected anywhere.
func (c *call) getReach() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.Reach(c.ctx, c.actor, user))
}

// putDevice registers a device, or says that it is still there.
func (c *call) putDevice() (answer, error) {
	user, p, err := c.pushFields()
	if err != nil {
		return answer{}, err
	}
	p.Device = c.r.PathValue("device")
	_, err = c.cfg.Engine.RegisterDevice(c.ctx, c.actor, user, &p)
	return done, err
}

func (c *call) deleteDevice() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	_, err = c.cfg.Engine.DropDevice(c.ctx, c.actor, user, c.r.PathValue("device"))
	return done, err
}

func (c *call) listPush() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.PushSettings(c.ctx, c.actor, user, chat.RoomID(c.r.URL.Query().Get("after"))))
}

// putPush changes settings for a room, or where the path names none, for all rooms. Fields
// that are missing stay as they are.
func (c *call) putPush() (answer, error) {
	user, p, err := c.pushFields()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.SetPush(c.ctx, c.actor, user, c.room, &p))
}

func (c *call) pushFields() (user chat.UserID, p wire.PushFields, err error) {
	if user, err = c.pathUser(); err != nil {
		return user, p, err
	}
	f, err := c.body()
	if err == nil {
		p, err = f.Push()
	}
	return user, p, err
}
