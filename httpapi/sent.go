package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/identity"
)

// A message that the durable queue has accepted and that is not decided soon is answered
// 202, with the place where any node tells what came of it.

const (
	waitTime   = 2 * time.Second  // for the outcome of a message that was accepted
	maxWait    = 10 * time.Second // what a client may ask for instead
	askedAgain = "1"              // Retry-After of what is not decided
)

// wait is how long an answer waits for the outcome of a message that was accepted, as the
// client prefers (RFC 7240).
func (c *call) wait() time.Duration {
	wait := waitTime
	if _, ok := prefers(c.r, "respond-async"); ok {
		wait = 0
	}
	if s, ok := prefers(c.r, "wait"); ok {
		if n, err := strconv.ParseUint(s, 10, 31); err == nil { // a preference that makes no sense is none
			wait = min(time.Duration(n)*time.Second, maxWait)
		}
	}
	return wait
}

// accepted answers that a message waits to be decided, and where to ask for it.
func (c *call) accepted(at *change.Queued) answer {
	// Relative, as the path of the API is another one behind a proxy.
	c.w.Header().Set("Location", placeOf(at, &c.actor))
	return c.waits(at)
}

// placeOf is where to ask for a message that waits, from the address of its room.
func placeOf(at *change.Queued, sender *engine.Actor) string {
	place := url.Values{"queued": {formatQueued(at)}}
	if sender.Server {
		place.Set("user", string(sender.User))
	}
	return "messages/by-key/" + url.PathEscape(at.Key) + "?" + place.Encode()
}

// waits is the body of accepted.
func (c *call) waits(at *change.Queued) answer {
	c.w.Header().Set("Retry-After", askedAgain)
	w := waiting{Room: c.room, Key: at.Key, Queued: formatQueued(at)}
	return answer{http.StatusAccepted, w.json()}
}

// waiting is what a client is told of a message that waits to be decided.
type waiting struct {
	Room     chat.RoomID `json:"room"`
	Key      string      `json:"key"`
	Queued   string      `json:"queued"`
	Location string      `json:"location,omitempty"` // of a batch: where to ask, from the address of the request
}

func (w *waiting) json() []byte {
	body, err := json.Marshal(w)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return body
}

// getSent tells what came of a message, by its key: what its first attempt was answered.
func (c *call) getSent() (answer, error) {
	q := c.r.URL.Query()
	if user := chat.UserID(q.Get("user")); user != "" {
		if c.id.Kind != identity.Server && user != c.id.User {
			return answer{}, chat.E(chat.Forbidden, "only an API key may ask for another user's message")
		}
		if err := chat.CheckID("user", string(user), c.cfg.Limits.IDBytes); err != nil {
			return answer{}, err
		}
		c.actor.User = user
	}
	at, err := parseQueued(q.Get("queued"))
	if err != nil {
		return answer{}, err
	}
	key := c.r.PathValue("key")
	r, waiting, err := c.cfg.Engine.Sent(c.ctx, c.actor, c.room, key, at)
	if err != nil {
		return answer{}, err
	}
	if waiting {
		at.Key = key
		return c.waits(at), nil
	}
	return reply(http.StatusOK, r), nil
}

// formatQueued is where a message waits, as clients are told it. They do not look into it.
func formatQueued(at *change.Queued) string {
	return strconv.Itoa(at.Lane) + "." + strconv.FormatUint(at.Entry, 10)
}

// parseQueued reads what formatQueued has written; nil: nothing.
func parseQueued(s string) (*change.Queued, error) {
	if s == "" {
		return nil, nil
	}
	lane, entry, _ := strings.Cut(s, ".")
	l, err1 := strconv.ParseUint(lane, 10, 31)
	e, err2 := strconv.ParseUint(entry, 10, 64)
	if err1 != nil || err2 != nil {
		return nil, chat.E(chat.Invalid, "queued is not what an answer 202 had")
	}
	return &change.Queued{Lane: int(l), Entry: e}, nil
}
