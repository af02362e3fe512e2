// Package logpush is the driver for development: what would be pushed is written to the log.
// It is the only part of the program that logs what a notification says, and is used where
// it is asked for by name.
package logpush

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
)

// Provider logs notifications.
type Provider struct{ log *slog.Logger }

var _ push.Provider = (*Provider)(nil)

// New returns a Provider that writes to the log.
func New(log *slog.Logger) *Provider { return &Provider{log} }

// Name is "log".
func (*Provider) Name() string { return "log" }

// Service is always the same.
func (*Provider) Service(string) string { return "" }

// address has a name that the device gives itself.
type address struct {
	Name string `json:"name"`
}

// Check reads {"name": …}.
func (*Provider) Check(text []byte) (string, error) {
	var a address
	if json.Unmarshal(text, &a) != nil || a.Name == "" || len(a.Name) > 256 {
		return "", chat.E(chat.Invalid, `a log target is {"name": …}, of 1 to 256 bytes`)
	}
	canonical, err := json.Marshal(a)
	return string(canonical), err
}

// Send logs the notification.
func (p *Provider) Send(ctx context.Context, text string, n *push.Notification) push.Outcome {
	var a address
	if json.Unmarshal([]byte(text), &a) != nil || a.Name == "" {
		return push.Outcome{Action: push.Rejected, Reason: "bad_address"}
	}
	if ctx.Err() != nil {
		return push.Failed(ctx, ctx.Err())
	}
	attrs := []any{"device", a.Name, "id", n.ID, "title", n.Title, "text", n.Text, "data", n.Data, "collapse", n.CollapseKey(), "expires", n.Expires.Format(time.RFC3339)}
	if n.Badge != nil {
		attrs = append(attrs, "badge", *n.Badge)
	}
	p.log.Info("push: a notification", attrs...)
	return push.Outcome{Action: push.Delivered, Reason: "ok", ID: n.ID}
}

// Close does nothing.
func (*Provider) Close() error { return nil }
