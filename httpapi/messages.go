package httpapi

import (
	"net/http"
	"strings"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/store"
)

// postMessage sends. Idempotency-Key makes it safe to repeat.
func (c *call) postMessage() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	keys := c.r.Header.Values("Idempotency-Key")
	if len(keys) > 1 {
		return answer{}, chat.E(chat.Invalid, "there is more than one Idempotency-Key")
	}
	p, err := f.Posting()
	if err != nil {
		return answer{}, err
	}
	p.Room, p.Key = c.room, strings.Join(keys, "")
	if c.actor, err = c.author(p.User); err != nil {
		return answer{}, err
	}
	m := engine.Posted(&p)
	r, queued, err := c.post(m)
	if err != nil {
		return answer{}, err
	}
	if queued != nil {
		return c.accepted(queued), nil
	}
	return reply(sentStatus(&r), engine.ChangeReply(c.room, &r)), nil
}

// sentStatus tells a message that was sent from one that had been before.
func sentStatus(r *change.Reply) int {
	if r.Repeated {
		return http.StatusOK
	}
	return http.StatusCreated
}

// author is the actor that sends as the user whom the body names; empty: that of the
// request.
func (c *call) author(user chat.UserID) (engine.Actor, error) {
	a := c.actor
	if user == "" {
		return a, nil
	}
	if c.id.Kind != identity.Server && user != c.id.User {
		return a, chat.E(chat.Forbidden, "only an API key may send as another user")
	}
	if err := chat.CheckID("user", string(user), c.cfg.Limits.IDBytes); err != nil {
		return a, err
	}
	a.User = user
	if a.Server {
		c.cfg.Verifier.Speaks(user)
	}
	return a, nil
}

// post writes the message, or puts it into the durable queue. A user outside the
// room joins it first where that is allowed, as on every transport.
func (c *call) post(m *change.Send) (change.Reply, *change.Queued, error) {
	wait := c.wait()
	said := m.Draft // before_message may replace what is in it, and is asked anew
	r, queued, err := c.cfg.Engine.Send(c.ctx, c.actor, m, wait)
	if k := chat.KindOf(err); err == nil || c.actor.Server || (k != chat.NotMember && k != chat.NotFound) {
		return r, queued, err
	}
	if _, err := c.cfg.Engine.Join(c.ctx, c.actor, c.room, engine.JoinOptions{Limit: 1}); err != nil {
		return r, nil, err
	}
	m.Draft = said
	return c.cfg.Engine.Send(c.ctx, c.actor, m, wait)
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
	limit, err := c.limit(c.cfg.Limits.PageMessages)
	if err != nil {
		return answer{}, err
	}
	p := store.Page{Before: chat.Seq(before), After: chat.Seq(after), Limit: limit}
	if after == 0 && c.r.URL.Query().Get("after") != "" {
		p.After = store.FromStart
	}
	at := engine.Around{Read: c.r.URL.Query().Get("around") == "read"}
	if !at.Read {
		n, err := c.number("around")
		if err != nil {
			return answer{}, err
		}
		at.Seq = chat.Seq(n)
	}
	return ok(c.cfg.Engine.History(c.ctx, c.actor, c.room, p, at))
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
	if !f.has("message") {
		return answer{}, chat.E(chat.Invalid, "message is missing")
	}
	if err := f.get("message", "a string", &text); err != nil {
		return answer{}, err
	}
	data, err := f.Data("data")
	if err != nil {
		return answer{}, err
	}
	return c.change(&change.Edit{Room: c.room, Seq: seq, Text: text, Data: data})
}

func (c *call) deleteMessage() (answer, error) {
	seq, err := c.seq()
	if err != nil {
		return answer{}, err
	}
	return c.change(&change.Delete{Room: c.room, Seq: seq})
}

func (c *call) putReaction() (answer, error)    { return c.react(true) }
func (c *call) deleteReaction() (answer, error) { return c.react(false) }

func (c *call) react(on bool) (answer, error) {
	seq, err := c.seq()
	if err != nil {
		return answer{}, err
	}
	return c.change(&change.React{Room: c.room, Seq: seq, Emoji: c.r.PathValue("emoji"), On: on})
}

// change changes a message that exists.
func (c *call) change(m change.Change) (answer, error) {
	r, err := c.cfg.Engine.Do(c.ctx, c.actor, m)
	if err != nil {
		return answer{}, err
	}
	return reply(http.StatusOK, engine.ChangeReply(c.room, &r)), nil
}

func (c *call) listChanges() (answer, error) {
	after, err := c.number("after")
	if err != nil {
		return answer{}, err
	}
	limit, err := c.limit(engine.PageChanges)
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Changes(c.ctx, c.actor, c.room, chat.Rev(after), limit)
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
	if !f.has("seq") {
		return answer{}, chat.E(chat.Invalid, "seq is missing")
	}
	seq, err := f.seq("seq")
	if err != nil {
		return answer{}, err
	}
	r, err := c.cfg.Engine.Read(c.ctx, c.actor, c.room, seq)
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
	return done, c.cfg.Engine.Typing(c.ctx, c.actor, c.room, on)
}
