package httpapi

import (
	"cmp"
	"net/http"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/wire"
)

func (c *call) listRooms() (answer, error) {
	o, err := c.roomsOptions()
	if err != nil {
		return answer{}, err
	}
	if c.actor.Server && c.actor.User == "" {
		return ok(c.cfg.Engine.ListRooms(c.ctx, c.actor, o))
	}
	return ok(c.cfg.Engine.Rooms(c.ctx, c.actor, o))
}

// roomsOptions reads the query of a list of rooms.
func (c *call) roomsOptions() (o engine.RoomsOptions, err error) {
	q := c.r.URL.Query()
	o = engine.RoomsOptions{After: q.Get("after"), Order: q.Get("order"), Prefix: q.Get("prefix")}
	if o.Limit, err = c.limit(engine.PageRooms); err != nil {
		return o, err
	}
	archived, err := c.flag("archived")
	if err != nil {
		return o, err
	}
	o.Archived = archived != nil && *archived
	o.Open, err = c.flag("open")
	return o, err
}

// ok answers with what was asked for.
func ok[R wire.Reply](r R, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

// deleteRoom deletes the room: it does not exist from then on. Its rows are removed
// in the background.
func (c *call) deleteRoom() (answer, error) {
	return c.changeMember(&change.DeleteRoom{Room: c.room})
}

// unread is what is unread for a user in all rooms.
func (c *call) unread() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	if !c.actor.Server && user != c.actor.User {
		return answer{}, chat.E(chat.Forbidden, "only an API key may ask what is unread for another user")
	}
	return ok(c.cfg.Engine.Unread(c.ctx, engine.Actor{User: user, Server: c.actor.Server}))
}

// deleteMessages deletes messages of a user, in steps.
func (c *call) deleteMessages() (answer, error) {
	user, err := c.pathUser()
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.DeleteMessages(c.ctx, c.actor, user, c.r.URL.Query().Get("after")))
}

func (c *call) getRoom() (answer, error) {
	return ok(c.cfg.Engine.GetRoom(c.ctx, c.actor, c.room))
}

func (c *call) putRoom() (answer, error) {
	p := &change.SetRoom{Room: c.room}
	f, err := c.bodyAbout(&p.Data)
	if err != nil {
		return answer{}, err
	}
	if err := cmp.Or(
		f.get("title", "a string", &p.Title), f.get("open", "true or false", &p.Open), f.get("read_only", "true or false", &p.ReadOnly),
		f.get("archived", "true or false", &p.Archived),
		f.get("topic", "a string", &p.Topic), f.get("avatar", "a string", &p.Avatar),
	); err != nil {
		return answer{}, err
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
	limit, err := c.limit(c.cfg.Limits.PageMembers)
	if err != nil {
		return answer{}, err
	}
	return ok(c.cfg.Engine.Online(c.ctx, c.actor, c.room, limit))
}
