package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// postMessage sends. Idempotency-Key makes it safe to repeat.
func (c *call) postMessage() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	d, user, err := c.draft(f)
	if err != nil {
		return answer{}, err
	}
	if user != "" {
		if c.id.Kind != identity.Server && user != c.id.User {
			return answer{}, chat.E(chat.Forbidden, "only an API key may send as somebody else")
		}
		if err := chat.CheckID("user", string(user), c.cfg.Limits.IDBytes); err != nil {
			return answer{}, err
		}
		c.actor.User = user
	}
	r, repeated, err := c.post(d)
	if err != nil {
		return answer{}, err
	}
	if repeated {
		return reply(http.StatusOK, r), nil
	}
	return reply(http.StatusCreated, r), nil
}

// draft reads what is to be sent, and as whom if the body says so.
func (c *call) draft(f fields) (d chat.Draft, user chat.UserID, err error) {
	keys := c.r.Header.Values("Idempotency-Key")
	if len(keys) > 1 {
		return d, "", chat.E(chat.Invalid, "there is more than one Idempotency-Key")
	}
	if len(keys) == 1 {
		d.Key = keys[0]
	}
	var data json.RawMessage
	for _, err := range []error{
		f.get("message", "a string", &d.Text), f.get("reply_to", "a message number", &d.ReplyTo),
		f.get("data", "JSON", &data), f.get("user", "a string", &user),
	} {
		if err != nil {
			return d, "", err
		}
	}
	d.Data = data
	return d, user, nil
}

// post writes the message. Who is not in the room joins it first where they may,
// as on every transport.
func (c *call) post(d chat.Draft) (wire.SendReply, bool, error) {
	r, repeated, err := c.cfg.Messages.Post(c.ctx, c.actor, c.room, d)
	if k := chat.KindOf(err); err == nil || c.actor.Server || (k != chat.NotMember && k != chat.NotFound) {
		return r, repeated, err
	}
	if _, err := c.cfg.Rooms.Join(c.ctx, c.actor, c.room, engine.JoinOptions{Limit: 1}); err != nil {
		return r, false, err
	}
	return c.cfg.Messages.Post(c.ctx, c.actor, c.room, d)
}

func (c *call) listMessages() (answer, error) {
	before, err := c.number("before")
	if err != nil {
		return answer{}, err
	}
	after, err := c.number("after")
	if err != nil {
		return answer{}, err
	}
	limit, err := c.limit()
	if err != nil {
		return answer{}, err
	}
	p := store.Page{Before: chat.Seq(before), After: chat.Seq(after), Limit: limit}
	if after == 0 && c.r.URL.Query().Get("after") != "" {
		p.After = store.FromStart
	}
	r, err := c.cfg.Messages.History(c.ctx, c.actor, c.room, p)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) editMessage() (answer, error) {
	seq, err := c.seq()
	if err != nil {
		return answer{}, err
	}
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var text string
	var data json.RawMessage
	if !f.has("message") {
		return answer{}, chat.E(chat.Invalid, "message is missing")
	}
	if err := f.get("message", "a string", &text); err != nil {
		return answer{}, err
	}
	if err := f.get("data", "JSON", &data); err != nil {
		return answer{}, err
	}
	return sent(c.cfg.Messages.EditWait(c.ctx, c.actor, c.room, seq, text, data))
}

func (c *call) deleteMessage() (answer, error) {
	seq, err := c.seq()
	if err != nil {
		return answer{}, err
	}
	return sent(c.cfg.Messages.DeleteWait(c.ctx, c.actor, c.room, seq))
}

func (c *call) putReaction() (answer, error)    { return c.react(true) }
func (c *call) deleteReaction() (answer, error) { return c.react(false) }

func (c *call) react(on bool) (answer, error) {
	seq, err := c.seq()
	if err != nil {
		return answer{}, err
	}
	return sent(c.cfg.Messages.ReactWait(c.ctx, c.actor, c.room, seq, c.r.PathValue("emoji"), on))
}

func sent(r wire.SendReply, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) listChanges() (answer, error) {
	after, err := c.number("after")
	if err != nil {
		return answer{}, err
	}
	limit, err := c.limit()
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Messages.Changes(c.ctx, c.actor, c.room, chat.Rev(after), limit)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) markRead() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var seq chat.Seq
	if !f.has("seq") {
		return answer{}, chat.E(chat.Invalid, "seq is missing")
	}
	if err := f.get("seq", "a message number", &seq); err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Messages.Read(c.ctx, c.actor, c.room, seq)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, r), nil
}

func (c *call) typing() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	on := true
	if err := f.get("on", "true or false", &on); err != nil {
		return answer{}, err
	}
	return done, c.cfg.Messages.Typing(c.ctx, c.actor, c.room, on)
}
