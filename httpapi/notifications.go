package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/notify"
)

// Push is what operators ask about notifications (notify.Sender, where the methods are
// specified).
type Push interface {
	Dead(ctx context.Context, user chat.UserID, limit int) (dead []notify.Dead, more bool, err error)
	Retry(ctx context.Context, user chat.UserID, life time.Duration) (int, error)
	Drop(ctx context.Context, user chat.UserID) (int, error)
	Try(ctx context.Context, user chat.UserID, title, text string) ([]notify.Trial, error)
}

// notifyUser tells a user a notice of the host's.
func (c *call) notifyUser() (answer, error) {
	user, err := c.userOfKey("only an API key may send notifications")
	if err != nil {
		return answer{}, err
	}
	return c.notify(user)
}

// notifyRoom tells all members of a room.
func (c *call) notifyRoom() (answer, error) { return c.notify("") }

func (c *call) notify(user chat.UserID) (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var n chat.Notice
	var data map[string]string
	room, ttl := c.room, int64(c.cfg.PushTTL/time.Second)
	if err := cmp.Or(
		f.get("title", "a string", &n.Title), f.get("text", "a string", &n.Text), f.get("collapse", "a string", &n.Name),
		f.get("data", "an object of strings", &data), f.get("ttl", "a number of seconds", &ttl),
	); err != nil {
		return answer{}, err
	}
	if user != "" {
		if err := f.get("room", "a string", &room); err != nil {
			return answer{}, err
		}
	}
	if len(data) > 0 {
		raw, err := json.Marshal(data)
		if err != nil {
			return answer{}, chat.Wrap(chat.Internal, "httpapi.notify", err)
		}
		n.Data = string(raw)
	}
	if ttl < 0 || ttl > int64(maxTTL/time.Second) { // what the engine refuses, without an overflow
		ttl = 0
	}
	users, err := c.cfg.Engine.Notify(c.ctx, c.actor, user, room, &n, time.Duration(ttl)*time.Second)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusAccepted, map[string]int{"users": users})
}

// maxTTL is more than a notification may have.
const maxTTL = 365 * 24 * time.Hour

// ofUser is the user in the body to whom an operation is restricted, "" if there is none.
func (c *call) ofUser() (user chat.UserID, err error) {
	f, err := c.body()
	if err != nil {
		return "", err
	}
	return user, f.get("user", "a string", &user)
}

// listDead lists notifications that were given up.
func (c *call) listDead() (answer, error) {
	limit, err := c.limit(c.cfg.Limits.PageMembers)
	if err != nil {
		return answer{}, err
	}
	if limit <= 0 || limit > c.cfg.Limits.PageMembers {
		limit = c.cfg.Limits.PageMembers
	}
	dead, more, err := c.cfg.Push.Dead(c.ctx, chat.UserID(c.r.URL.Query().Get("user")), limit)
	if err != nil {
		return answer{}, err
	}
	if dead == nil {
		dead = []notify.Dead{}
	}
	return object(http.StatusOK, map[string]any{"dead": dead, "more": more})
}

// retryDead has them sent after all.
func (c *call) retryDead() (answer, error) {
	user, err := c.ofUser()
	if err != nil {
		return answer{}, err
	}
	n, err := c.cfg.Push.Retry(c.ctx, user, c.cfg.PushTTL)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]int{"jobs": n})
}

// dropDead deletes them.
func (c *call) dropDead() (answer, error) {
	n, err := c.cfg.Push.Drop(c.ctx, chat.UserID(c.r.URL.Query().Get("user")))
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]int{"jobs": n})
}

// tryPush sends a notification to every device of a user at once, and tells what came of it.
func (c *call) tryPush() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var user, title, text string
	if err := cmp.Or(f.get("user", "a string", &user), f.get("title", "a string", &title), f.get("text", "a string", &text)); err != nil {
		return answer{}, err
	}
	if err := chat.CheckRef("user", user, c.cfg.Limits.IDBytes); err != nil {
		return answer{}, err
	}
	trials, err := c.cfg.Push.Try(c.ctx, chat.UserID(user), cmp.Or(title, "Roomtide"), cmp.Or(text, "Push notifications work."))
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]any{"devices": trials})
}
