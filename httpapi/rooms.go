package httpapi

import (
	"net/http"

	"github.com/roomtide/roomtide/change"
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
	about, err := f.about()
	if err != nil {
		return answer{}, err
	}
	p := &change.SetRoom{Room: c.room, Data: about}
	for _, err := range []error{
		f.get("title", "a string", &p.Title), f.get("open", "true or false", &p.Open), f.get("read_only", "true or false", &p.ReadOnly),
		f.get("topic", "a string", &p.Topic), f.get("avatar", "a string", &p.Avatar),
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
	limit, err := c.limit()
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Online(c.ctx, c.actor, c.room, limit)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}
