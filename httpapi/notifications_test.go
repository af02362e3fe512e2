package httpapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/notify"
)

// fakePush has one notification that was given up, and one device.
type fakePush struct{}

func (fakePush) Dead(_ context.Context, user chat.UserID, limit int) ([]notify.Dead, bool, error) {
	return []notify.Dead{{User: user, Room: "r", Device: "phone", Attempts: limit, Reason: "UNREGISTERED", Made: 1}}, true, nil
}

func (fakePush) Retry(context.Context, chat.UserID, time.Duration) (int, error) { return 1, nil }
func (fakePush) Drop(context.Context, chat.UserID) (int, error)                 { return 2, nil }

func (fakePush) Try(context.Context, chat.UserID, string, string) ([]notify.Trial, error) {
	return []notify.Trial{{Device: "phone", Provider: "fcm", Action: "pause", Reason: "network", Error: "no route", Millis: 3, Again: 1000}}, nil
}

// What cannot be pushed, or by whom, is refused with what to do about it.
func TestNotificationsAreChecked(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Push = fakePush{} })
	key := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{}`, key)
	for _, c := range []struct {
		path, body, who string
		status          int
		code            string
	}{
		{"/v1/users/bob/notifications", `{}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":5}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":"x","data":{"n":1}}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":"x","ttl":0}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":"x","ttl":9223372036854775807}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":"x","sound":"y"}`, key, 400, "invalid"},
		{"/v1/users/bob/notifications", `{"text":"` + strings.Repeat("x", 1025) + `"}`, key, 413, "too_large"},
		{"/v1/users/bob/notifications", `{"text":"` + strings.Repeat("<", 1000) + `"}`, key, 413, "too_large"},
		{"/v1/users/bob/notifications", `{"text":"x"}`, n.token("bob"), 403, "forbidden"},
		{"/v1/rooms/r/notifications", `{"text":"x"}`, n.token("bob"), 403, "forbidden"},
		{"/v1/rooms/r/notifications", `{"text":"x","room":"q"}`, key, 400, "invalid"},
		{"/v1/rooms/none/notifications", `{"text":"x"}`, key, 404, "not_found"},
		{"/v1/push/test", `{}`, key, 400, "invalid"},
	} {
		if g := n.want(c.status, "POST", c.path, c.body, c.who); g.code() != c.code {
			t.Errorf("%s %.60s: %s", c.path, c.body, g.raw)
		}
	}
}
