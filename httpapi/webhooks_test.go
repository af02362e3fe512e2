package httpapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/webhook"
)

// fakeWebhooks has one endpoint, and notes what it is told.
type fakeWebhooks struct {
	order webhook.Order
	said  []string
}

func (f *fakeWebhooks) say(id, what string) error {
	if id != "w1" {
		return chat.E(chat.NotFound, "there is no such webhook")
	}
	f.said = append(f.said, what)
	return nil
}

func (f *fakeWebhooks) status() webhook.Status {
	now := webhook.Time{Time: time.Now()}
	return webhook.Status{
		ID: "w1", URL: "https://www.example.org/hook", Kinds: []hostevents.Kind{hostevents.MessageCreated}, Rooms: []string{}, Batch: 1,
		Secrets: 1, Created: now, Failing: &now, Error: "it is down",
	}
}

func (f *fakeWebhooks) List(context.Context) ([]webhook.Status, error) {
	return []webhook.Status{f.status()}, nil
}

func (f *fakeWebhooks) Add(_ context.Context, o webhook.Order) (webhook.Status, string, error) {
	f.order = o
	return f.status(), "whsec_AAAA", nil
}

func (f *fakeWebhooks) Change(_ context.Context, id string, o webhook.Order) (webhook.Status, string, error) {
	f.order = o
	return f.status(), "", f.say(id, "change")
}

func (f *fakeWebhooks) Remove(_ context.Context, id string) error { return f.say(id, "remove") }

func (f *fakeWebhooks) Replay(_ context.Context, id string, from time.Time) (webhook.Status, error) {
	return f.status(), f.say(id, "replay "+from.Format(time.RFC3339))
}

func (f *fakeWebhooks) Test(_ context.Context, id string) (webhook.Tested, error) {
	return webhook.Tested{OK: true, Took: 3}, f.say(id, "test")
}

func (f *fakeWebhooks) DeadLetters(_ context.Context, id, after string) ([]webhook.Dead, bool, error) {
	now := webhook.Time{Time: time.Now()}
	return []webhook.Dead{{ID: "d1", Event: "evt_x", Kind: "message.created", Room: "r", Rev: 1, Time: now, Died: now, Reason: "400"}}, true, f.say(id, "dead "+after)
}

func (f *fakeWebhooks) Retry(_ context.Context, id string) (webhook.Retried, error) {
	return webhook.Retried{Delivered: 1}, f.say(id, "retry")
}

func (f *fakeWebhooks) DropDead(_ context.Context, id string) (int, error) {
	return 1, f.say(id, "drop")
}

func TestWebhooks(t *testing.T) {
	f := &fakeWebhooks{}
	n := newNode(t, func(c *Config) { c.Webhooks = f })
	key := n.key(identity.ScopeAdmin)
	if g := n.want(201, "POST", "/v1/webhooks", `{"url":"https://www.example.org/hook","kinds":["a","b"],"batch":7}`, key); g.body["secret"] != "whsec_AAAA" {
		t.Errorf("%s", g.raw)
	}
	if o := f.order; *o.URL != "https://www.example.org/hook" || len(*o.Kinds) != 2 || *o.Batch != 7 || o.Rooms != nil || o.Enabled != nil {
		t.Errorf("%+v", o)
	}
	if g := n.want(200, "GET", "/v1/webhooks", nil, key); strings.Contains(string(g.raw), "whsec") {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "PATCH", "/v1/webhooks/w1", `{"enabled":true,"one_secret":true}`, key)
	if o := f.order; !*o.Enabled || !o.OneOnly || o.URL != nil {
		t.Errorf("%+v", o)
	}
	n.want(202, "POST", "/v1/webhooks/w1/replay", `{"from":"2026-01-02T15:04:05Z"}`, key)
	n.want(200, "GET", "/v1/webhooks/w1/dead?after=d0", nil, key)
	n.want(204, "DELETE", "/v1/webhooks/w1", nil, key)
	if got := strings.Join(f.said, ", "); got != "change, replay 2026-01-02T15:04:05Z, dead d0, remove" {
		t.Error(got)
	}
	for _, bad := range []struct{ method, path, body string }{
		{"POST", "/v1/webhooks", `{"url":5}`}, {"POST", "/v1/webhooks", `{"address":"x"}`},
		{"POST", "/v1/webhooks/w1/replay", `{}`}, {"POST", "/v1/webhooks/w1/replay", `{"from":"yesterday"}`},
	} {
		n.want(400, bad.method, bad.path, bad.body, key)
	}
	n.want(404, "DELETE", "/v1/webhooks/w2", nil, key)
	n.want(403, "GET", "/v1/webhooks", nil, n.key(identity.ScopeRead))
}
