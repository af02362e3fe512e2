package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/feed"
)

const (
	feedLimit = 1000             // events of an answer
	feedWait  = 25 * time.Second // for an event, at most
)

// Feeds is what back ends read at their own pace (feed.Feeds, where the methods are specified).
type Feeds interface {
	List(ctx context.Context) ([]feed.Info, error)
	Make(ctx context.Context, name string, users bool) (feed.Info, bool, error)
	Drop(ctx context.Context, name string) error
	Read(ctx context.Context, name, after string, limit int, wait time.Duration) (*feed.Page, error)
}

// feedBody is a feed in an answer.
type feedBody struct {
	Feed  string `json:"feed"`
	Next  string `json:"next"`
	Users bool   `json:"users,omitempty"`
}

func (c *call) listFeeds() (answer, error) {
	all, err := c.cfg.Feeds.List(c.ctx)
	if err != nil {
		return answer{}, err
	}
	bodies := make([]feedBody, len(all))
	for i, info := range all {
		bodies[i] = feedBody{info.Name, info.At, info.Users}
	}
	return object(http.StatusOK, map[string]any{"feeds": bodies})
}

func (c *call) putFeed() (answer, error) {
	in, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var users bool
	if err := in.get("users", "true or false", &users); err != nil {
		return answer{}, err
	}
	info, created, err := c.cfg.Feeds.Make(c.ctx, c.r.PathValue("feed"), users)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return object(status, feedBody{info.Name, info.At, info.Users})
}

func (c *call) deleteFeed() (answer, error) {
	return done, c.cfg.Feeds.Drop(c.ctx, c.r.PathValue("feed"))
}

// readFeed answers with events, when there are some, and acknowledges those of answers
// before.
func (c *call) readFeed() (answer, error) {
	limit, err := c.limit(feedLimit)
	if err != nil {
		return answer{}, err
	}
	if limit == 0 || limit > feedLimit {
		limit = feedLimit
	}
	seconds, err := c.number("wait")
	if err != nil {
		return answer{}, err
	}
	wait := min(time.Duration(min(seconds, 1000))*time.Second, feedWait)
	page, err := c.cfg.Feeds.Read(c.ctx, c.r.PathValue("feed"), c.r.URL.Query().Get("after"), limit, wait)
	if err != nil {
		return answer{}, err
	}
	body := []byte(`{"events":[`)
	for i := range page.Events {
		if i > 0 {
			body = append(body, ',')
		}
		body = page.Events[i].AppendJSON(body)
	}
	next, err := json.Marshal(page.Next)
	if err != nil {
		return answer{}, chat.Wrap(chat.Internal, "httpapi.feed", err)
	}
	body = append(append(body, `],"next":`...), next...)
	return answer{http.StatusOK, append(body, '}')}, nil
}
