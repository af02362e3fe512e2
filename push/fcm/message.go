package fcm

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
)

// maxPayload is the limit for the keys and values of a message.
const maxPayload = 4096

// maxTTL is the longest time that FCM keeps a message.
const maxTTL = 28 * 24 * time.Hour

// address is where an installation of an app is reached: by its registration token, or by
// its Firebase installation id, which takes the token's place.
type address struct {
	Token string `json:"token,omitempty"`
	FID   string `json:"fid,omitempty"`
}

func parseAddress(text []byte) (a address, err error) {
	if err := json.Unmarshal(text, &a); err != nil {
		return a, chat.E(chat.Invalid, `an fcm target is {"token": …} or {"fid": …}`)
	}
	if (a.Token == "") == (a.FID == "") {
		return a, chat.E(chat.Invalid, "an fcm target has either a token or a fid")
	}
	if v := a.Token + a.FID; len(v) > 4096 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return a, chat.E(chat.Invalid, "that is not a registration token or installation id of FCM")
	}
	return a, nil
}

// The body of messages:send.
type (
	request struct {
		Message message `json:"message"`
	}
	message struct {
		address
		Notification *notification     `json:"notification,omitempty"`
		Data         map[string]string `json:"data,omitempty"`
		Android      android           `json:"android"`
		APNS         *apns             `json:"apns,omitempty"` // for installations on iOS
	}
	notification struct {
		Title string `json:"title,omitempty"`
		Body  string `json:"body,omitempty"`
	}
	android struct {
		Collapse     string               `json:"collapse_key,omitempty"`
		Priority     string               `json:"priority"`
		TTL          string               `json:"ttl"`
		Notification *androidNotification `json:"notification,omitempty"`
	}
	androidNotification struct {
		Tag   string `json:"tag,omitempty"`
		Count *int   `json:"notification_count,omitempty"`
	}
	apns struct {
		Headers map[string]string `json:"headers,omitempty"`
		Payload apnsPayload       `json:"payload"`
	}
	apnsPayload struct {
		APS aps `json:"aps"`
	}
	aps struct {
		Badge     *int   `json:"badge,omitempty"`
		Sound     string `json:"sound,omitempty"`
		Available int    `json:"content-available,omitempty"`
	}
)

// compose writes the body of a request. What is not nil says why there is none.
func compose(to address, n *push.Notification, now time.Time) ([]byte, *push.Outcome) {
	size := len(n.Title) + len(n.Text)
	for k, v := range n.Data {
		if size += len(k) + len(v); reserved(k) {
			return nil, &push.Outcome{Action: push.Rejected, Reason: "reserved_key", Err: fmt.Errorf("FCM keeps the key %q of data to itself", k)}
		}
	}
	if size > maxPayload {
		return nil, &push.Outcome{Action: push.TooLarge, Reason: "too_large"}
	}
	collapse := n.CollapseKey()
	m := message{
		address: to, Data: n.Data,
		Android: android{Collapse: collapse, Priority: "NORMAL", TTL: strconv.FormatInt(int64(min(n.TTL(now), maxTTL)/time.Second), 10) + "s"},
		APNS:    &apns{Headers: map[string]string{"apns-priority": "5", "apns-expiration": strconv.FormatInt(n.Expires.Unix(), 10)}},
	}
	if collapse != "" {
		m.APNS.Headers["apns-collapse-id"] = collapse
	}
	m.APNS.Payload.APS.Badge = n.Badge
	if n.Silent() {
		m.APNS.Payload.APS.Available = 1
	} else {
		m.Notification = &notification{n.Title, n.Text}
		m.Android.Priority = "HIGH"
		m.Android.Notification = &androidNotification{Tag: collapse, Count: n.Badge}
		m.APNS.Headers["apns-priority"] = "10"
		m.APNS.Payload.APS.Sound = "default"
	}
	body, err := json.Marshal(request{m})
	if err != nil {
		return nil, &push.Outcome{Action: push.Rejected, Reason: "json", Err: err}
	}
	return body, nil
}

// reserved reports whether FCM refuses a key of data.
func reserved(key string) bool {
	return key == "" || key == "from" || key == "message_type" || strings.HasPrefix(key, "google") || strings.HasPrefix(key, "gcm")
}
