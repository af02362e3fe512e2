package webpush

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/ece"
	"github.com/roomtide/roomtide/internal/egress"
	"github.com/roomtide/roomtide/push"
)

const maxEndpoint = 2048

// subscription is what a browser's PushSubscription.toJSON gives, as far as it is used.
type subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256DH string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`

	origin string
	key    *ecdh.PublicKey
	auth   []byte
}

// parse reads a subscription, and brings it to its canonical form.
func parse(text []byte) (*subscription, error) {
	s := &subscription{}
	if json.Unmarshal(text, s) != nil {
		return nil, chat.E(chat.Invalid, `a webpush target is what PushSubscription.toJSON() gives: {"endpoint": …, "keys": {"p256dh": …, "auth": …}}`)
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || len(s.Endpoint) > maxEndpoint || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, chat.E(chat.Invalid, "the endpoint of a webpush target is an https address")
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	s.Endpoint, s.origin = u.String(), "https://"+u.Host
	raw, err := decode64(s.Keys.P256DH)
	if err == nil {
		s.key, err = ecdh.P256().NewPublicKey(raw)
	}
	if err != nil {
		return nil, chat.E(chat.Invalid, "keys.p256dh of a webpush target is a public key of P-256 in base64url")
	}
	if s.auth, err = decode64(s.Keys.Auth); err != nil || len(s.auth) != ece.AuthBytes {
		return nil, chat.E(chat.Invalid, "keys.auth of a webpush target is 16 bytes in base64url")
	}
	s.Keys.P256DH, s.Keys.Auth = base64.RawURLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(s.auth)
	return s, nil
}

// reachable refuses an endpoint that is an address inside. What a name resolves to is
// checked when it is dialled.
func (s *subscription) reachable(g egress.Guard) error {
	host := strings.TrimPrefix(s.origin, "https://")
	u := url.URL{Host: host}
	addr, err := netip.ParseAddr(u.Hostname())
	if err == nil && g.Check(addr) != nil || u.Hostname() == "localhost" && g.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1})) != nil {
		return chat.E(chat.Invalid, "the endpoint of a webpush target is on the public internet")
	}
	return nil
}

// payload is what the service worker gets: what showNotification takes, and more.
type payload struct {
	ID    string            `json:"id"`
	Title string            `json:"title,omitempty"`
	Body  string            `json:"body,omitempty"`
	Tag   string            `json:"tag,omitempty"`
	Badge *int              `json:"badge,omitempty"`
	Data  map[string]string `json:"data,omitempty"`
}

// seal writes the body of a request.
func (s *subscription) seal(n *push.Notification) ([]byte, *push.Outcome) {
	text, err := json.Marshal(payload{n.ID, n.Title, n.Text, n.CollapseKey(), n.Badge, n.Data})
	if err != nil {
		return nil, &push.Outcome{Action: push.Rejected, Reason: "json", Err: err}
	}
	if len(text) > ece.MaxPlain {
		return nil, &push.Outcome{Action: push.TooLarge, Reason: "too_large"}
	}
	body, err := ece.Seal(text, s.key, s.auth)
	if err != nil {
		return nil, &push.Outcome{Action: push.Rejected, Reason: "encryption", Err: err}
	}
	return body, nil
}
