package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/wire"
)

// maxBatch is how many messages one request sends at most. Its bytes are bounded like
// those of every body.
const maxBatch = 100

// posting is a message of a batch, and what came of it.
type posting struct {
	engine.Sending
	engine.Outcome
	said chat.Draft // before_message may replace that of Sending
}

// postMessages sends many messages, in any rooms. Each has an outcome of its own, which
// is what POST /v1/rooms/{room}/messages would have answered.
func (c *call) postMessages() (answer, error) {
	if c.r.Header.Get("Idempotency-Key") != "" {
		return answer{}, chat.E(chat.Invalid, "each message of a batch has its own key: the field key, beside message")
	}
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var items []json.RawMessage
	if err := f.get("messages", "an array of messages", &items); err != nil {
		return answer{}, err
	}
	if len(items) == 0 || len(items) > maxBatch {
		return answer{}, chat.E(chat.Invalid, "messages must be 1 to "+strconv.Itoa(maxBatch)+" messages")
	}
	all := make([]posting, len(items))
	var good []*posting
	for i, item := range items {
		p := &all[i]
		if p.Sending, p.Err = c.sending(item); p.Err == nil {
			p.said = p.Send.Draft
			good = append(good, p)
		}
	}
	c.sendAll(good)
	if !c.actor.Server {
		c.sendAll(c.joinRooms(good))
	}
	return answer{http.StatusOK, c.outcomes(all)}, nil
}

// sending reads a message of a batch.
func (c *call) sending(item json.RawMessage) (s engine.Sending, err error) {
	object, err := wire.DecodeObject(item)
	if err != nil {
		return s, chat.E(chat.Invalid, "the message is "+chat.Public(err).Text)
	}
	f := fields{object}
	if err := c.checkNames("field", maps.Keys(object), c.op.items["messages"]); err != nil {
		return s, err
	}
	p, err := f.Posting()
	if err != nil {
		return s, err
	}
	s.Send = engine.Posted(&p)
	s.Actor, err = c.author(p.User)
	return s, err
}

// sendAll sends the messages and fills in what came of them.
func (c *call) sendAll(ps []*posting) {
	all := make([]engine.Sending, len(ps))
	for i, p := range ps {
		all[i] = p.Sending
	}
	for i, o := range c.cfg.Engine.SendAll(c.ctx, all, c.wait()) {
		ps[i].Outcome = o
	}
}

// joinRooms joins the rooms whose messages were refused because the user is not in them,
// where that is allowed, and returns these messages.
func (c *call) joinRooms(ps []*posting) (again []*posting) {
	joins := map[chat.RoomID]error{}
	for _, p := range ps {
		if k := chat.KindOf(p.Err); p.Err == nil || k != chat.NotMember && k != chat.NotFound {
			continue
		}
		err, tried := joins[p.Send.Room]
		if !tried {
			_, err = c.cfg.Engine.Join(c.ctx, c.actor, p.Send.Room, engine.JoinOptions{Limit: 1})
			joins[p.Send.Room] = err
		}
		if p.Err = err; err == nil {
			p.Send.Draft = p.said
			again = append(again, p)
		}
	}
	return again
}

// outcomes is the body of the answer.
func (c *call) outcomes(all []posting) []byte {
	body := []byte(`{"results":[`)
	for i := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = c.appendOutcome(body, &all[i])
	}
	return append(body, "]}"...)
}

// placeJSON tells where a message waits, and where to ask for it.
func (c *call) placeJSON(p *posting) []byte {
	at, room := p.Queued, p.Send.Room
	w := waiting{Room: room, Key: at.Key, Queued: formatQueued(at)}
	w.Location = "rooms/" + url.PathEscape(string(room)) + "/" + placeOf(at, &p.Actor)
	return w.json()
}

func (c *call) appendOutcome(dst []byte, p *posting) []byte {
	if p.Err != nil {
		status, pub := c.judge(c.r, p.Err)
		if c.id.Kind != identity.Server {
			c.cfg.Engine.Refused(c.actor, pub.Kind)
		}
		return fmt.Appendf(dst, `{"status":%d,"problem":%s}`, status, problemJSON(status, pub))
	}
	if p.Queued != nil {
		dst = fmt.Appendf(dst, `{"status":%d,"accepted":`, http.StatusAccepted)
		return append(append(dst, c.placeJSON(p)...), '}')
	}
	dst = fmt.Appendf(dst, `{"status":%d,"sent":`, sentStatus(&p.Reply))
	return append(wire.AppendReply(dst, engine.ChangeReply(p.Send.Room, &p.Reply)), '}')
}
