package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/webhook"
)

// Webhooks are the endpoints of the host's back end (webhook.Service, where the methods are
// specified).
type Webhooks interface {
	List(ctx context.Context) ([]webhook.Status, error)
	Add(ctx context.Context, o webhook.Order) (webhook.Status, string, error)
	Change(ctx context.Context, id string, o webhook.Order) (webhook.Status, string, error)
	Remove(ctx context.Context, id string) error
	Replay(ctx context.Context, id string, from time.Time) (webhook.Status, error)
	Test(ctx context.Context, id string) (webhook.Tested, error)
	Letters
}

// Letters are the events that endpoints did not get.
type Letters interface {
	DeadLetters(ctx context.Context, id, after string) (page []webhook.Dead, more bool, err error)
	Retry(ctx context.Context, id string) (webhook.Retried, error)
	DropDead(ctx context.Context, id string) (int, error)
}

// withSecret is a webhook and a secret that is shown this once.
type withSecret struct {
	webhook.Status
	Secret string `json:"secret,omitempty"`
}

func (c *call) webhook() string { return c.r.PathValue("webhook") }

func (c *call) listWebhooks() (answer, error) {
	list, err := c.cfg.Webhooks.List(c.ctx)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]any{"webhooks": list})
}

func (c *call) addWebhook() (answer, error) {
	o, err := c.webhookOrder()
	if err != nil {
		return answer{}, err
	}
	st, secret, err := c.cfg.Webhooks.Add(c.ctx, o)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusCreated, withSecret{st, secret})
}

func (c *call) changeWebhook() (answer, error) {
	o, err := c.webhookOrder()
	if err != nil {
		return answer{}, err
	}
	st, secret, err := c.cfg.Webhooks.Change(c.ctx, c.webhook(), o)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, withSecret{st, secret})
}

// webhookOrder reads what a webhook is to be.
func (c *call) webhookOrder() (o webhook.Order, err error) {
	f, err := c.body()
	if err != nil {
		return o, err
	}
	for _, field := range []struct {
		name, what string
		to         any
	}{
		{"url", "a URL", &o.URL}, {"kinds", "a list of kinds of events", &o.Kinds}, {"rooms", "a list of rooms", &o.Rooms},
		{"batch", "a number of events", &o.Batch}, {"enabled", "true or false", &o.Enabled}, {"insecure", "true or false", &o.Insecure},
		{"secret", "whsec_ and base64", &o.Secret}, {"rotate", "true or false", &o.Rotate}, {"one_secret", "true or false", &o.OneOnly},
	} {
		if err := f.get(field.name, field.what, field.to); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (c *call) removeWebhook() (answer, error) {
	return done, c.cfg.Webhooks.Remove(c.ctx, c.webhook())
}

func (c *call) replayWebhook() (answer, error) {
	f, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var from time.Time
	if err := f.get("from", "a time such as 2026-01-02T15:04:05Z", &from); err != nil {
		return answer{}, err
	}
	if from.IsZero() {
		return answer{}, chat.E(chat.Invalid, "say from when: from is a time such as 2026-01-02T15:04:05Z")
	}
	st, err := c.cfg.Webhooks.Replay(c.ctx, c.webhook(), from)
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusAccepted, st)
}

func (c *call) testWebhook() (answer, error) {
	if _, err := c.body(); err != nil {
		return answer{}, err
	}
	t, err := c.cfg.Webhooks.Test(c.ctx, c.webhook())
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, t)
}

func (c *call) listDeadEvents() (answer, error) {
	page, more, err := c.cfg.Webhooks.DeadLetters(c.ctx, c.webhook(), c.r.URL.Query().Get("after"))
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]any{"dead": page, "more": more})
}

func (c *call) dropDeadEvents() (answer, error) {
	n, err := c.cfg.Webhooks.DropDead(c.ctx, c.webhook())
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, map[string]any{"dropped": n})
}

func (c *call) retryDeadEvents() (answer, error) {
	if _, err := c.body(); err != nil {
		return answer{}, err
	}
	out, err := c.cfg.Webhooks.Retry(c.ctx, c.webhook())
	if err != nil {
		return answer{}, err
	}
	return object(http.StatusOK, out)
}
