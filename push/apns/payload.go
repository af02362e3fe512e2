package apns

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
)

const (
	production = "production"
	sandbox    = "sandbox"

	maxPayload = 4096 // bytes of JSON
)

// address is where a device is reached: an installation of the app that the topic names.
type address struct {
	Token       string `json:"token"`
	Topic       string `json:"topic"`
	Environment string `json:"environment"`
}

// parseAddress reads an address; topics are those that may be sent to.
func parseAddress(text []byte, topics []string) (a address, err error) {
	if json.Unmarshal(text, &a) != nil {
		return a, chat.E(chat.Invalid, `an apns target is {"token": …, "topic": …, "environment": "production" or "sandbox"}`)
	}
	a.Token = strings.ToLower(a.Token)
	if raw, err := hex.DecodeString(a.Token); err != nil || len(raw) < 16 || len(raw) > 200 {
		return a, chat.E(chat.Invalid, "the token of an apns target is the device token, in hexadecimal")
	}
	if a.Topic == "" && len(topics) == 1 {
		a.Topic = topics[0]
	}
	if !slices.Contains(topics, a.Topic) {
		return a, chat.E(chat.Invalid, "this server does not push to an app with that topic (bundle id)")
	}
	switch a.Environment {
	case "":
		a.Environment = production
	case production, sandbox:
	default:
		return a, chat.E(chat.Invalid, `the environment of an apns target is "production" or "sandbox"`)
	}
	return a, nil
}

// The body of a request: what iOS reads, and the app's data beside it.
type (
	payload struct {
		APS  aps               `json:"aps"`
		Data map[string]string `json:"data,omitempty"`
	}
	aps struct {
		Alert     *alert `json:"alert,omitempty"`
		Badge     *int   `json:"badge,omitempty"`
		Sound     string `json:"sound,omitempty"`
		Thread    string `json:"thread-id,omitempty"`
		Available int    `json:"content-available,omitempty"`
	}
	alert struct {
		Title string `json:"title,omitempty"`
		Body  string `json:"body,omitempty"`
	}
)

// composed is what a request says of a notification.
type composed struct {
	body     []byte
	pushType string
	priority string
}

// compose writes a request. A badge alone is an alert that shows nothing, and data alone
// wakes the app in the background: then aps may have nothing else in it.
func compose(n *push.Notification) (c composed, failed *push.Outcome) {
	p := payload{APS: aps{Badge: n.Badge}, Data: n.Data}
	switch {
	case !n.Silent():
		c.pushType, c.priority = "alert", "10"
		p.APS.Alert, p.APS.Sound, p.APS.Thread = &alert{n.Title, n.Text}, "default", n.CollapseKey()
	case n.Badge != nil:
		c.pushType, c.priority = "alert", "5"
	default:
		c.pushType, c.priority = "background", "5"
		p.APS.Available = 1
	}
	body, err := json.Marshal(p)
	switch {
	case err != nil:
		return c, &push.Outcome{Action: push.Rejected, Reason: "json", Err: err}
	case len(body) > maxPayload:
		return c, &push.Outcome{Action: push.TooLarge, Reason: "too_large"}
	}
	c.body = body
	return c, nil
}
