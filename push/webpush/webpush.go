// Package webpush pushes to browsers: RFC 8030, with VAPID (RFC 8292) and encrypted for the
// subscription (RFC 8291).
//
// The endpoints are chosen by clients. Connections are made to public addresses only, no
// proxy is used and no redirect is followed.
package webpush

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/egress"
	"github.com/roomtide/roomtide/internal/lru"
	"github.com/roomtide/roomtide/push"
)

// maxTTL is the longest time that the larger services keep a message.
const maxTTL = 28 * 24 * time.Hour

// Config configures a Provider. Key and Subject are required.
type Config struct {
	Key     *Key
	Subject string // mailto: or https: address of the operator, for the push services

	Guard   egress.Guard     // which addresses endpoints may have
	RootCAs *x509.CertPool   // nil: those of the system
	Now     func() time.Time // default time.Now
}

// Provider pushes to the subscriptions that were made for its key.
type Provider struct {
	// Set once.
	guard  egress.Guard
	rt     *http.Transport
	tokens tokens
	now    func() time.Time
}

var _ push.Provider = (*Provider)(nil)

// New returns a Provider.
func New(c Config) (*Provider, error) {
	if c.Key == nil {
		return nil, chat.E(chat.Invalid, "Web Push needs a VAPID key")
	}
	if err := checkSubject(c.Subject); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	rt := c.Guard.Transport()
	rt.TLSClientConfig = &tls.Config{RootCAs: c.RootCAs}
	rt.MaxIdleConnsPerHost = 8
	rt.MaxIdleConns = 256
	rt.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return &Provider{
		guard: c.Guard, rt: rt, now: c.Now,
		tokens: tokens{key: c.Key, subject: c.Subject, now: c.Now, cache: lru.New[string, vapidToken](origins)},
	}, nil
}

// Name is "webpush".
func (*Provider) Name() string { return "webpush" }

// Service is the origin of the endpoint.
func (*Provider) Service(text string) string {
	s, err := parse([]byte(text))
	if err != nil {
		return ""
	}
	return s.origin
}

// Check reads what PushSubscription.toJSON gives.
func (p *Provider) Check(text []byte) (string, error) {
	s, err := parse(text)
	if err == nil {
		err = s.reachable(p.guard)
	}
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(s)
	return string(canonical), err
}

// Send is push.Provider.Send.
func (p *Provider) Send(ctx context.Context, text string, n *push.Notification) push.Outcome {
	s, err := parse([]byte(text))
	if err != nil {
		return push.Outcome{Action: push.Rejected, Reason: "bad_address"}
	}
	body, failed := s.seal(n)
	if failed != nil {
		return *failed
	}
	authorization, err := p.tokens.authorization(s.origin)
	if err != nil {
		return push.Outcome{Action: push.Misconfigured, Reason: "signature", Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return push.Outcome{Action: push.Rejected, Reason: "bad_address"}
	}
	header(req.Header, n, authorization, p.now())
	resp, err := p.rt.RoundTrip(req)
	switch {
	case errors.Is(err, egress.ErrInside):
		return push.Outcome{Action: push.Rejected, Reason: "inside"} // the name may point elsewhere tomorrow
	case err != nil:
		return push.Failed(ctx, err)
	}
	return p.answered(ctx, s, authorization, resp)
}

// header is what a request says beside its body.
func header(h http.Header, n *push.Notification, authorization string, now time.Time) {
	h.Set("Authorization", authorization)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Encoding", "aes128gcm")
	h.Set("TTL", strconv.FormatInt(int64(min(n.TTL(now), maxTTL)/time.Second), 10))
	h.Set("Urgency", "high")
	if n.Silent() {
		h.Set("Urgency", "normal")
	}
	if key := n.CollapseKey(); key != "" {
		h.Set("Topic", key)
	}
}

// answered reads an answer. What is in its body is only read for a reason.
func (p *Provider) answered(ctx context.Context, s *subscription, authorization string, resp *http.Response) push.Outcome {
	body, err := push.Body(resp)
	if err != nil && resp.StatusCode >= 500 {
		return push.Failed(ctx, err)
	}
	var a struct {
		Reason string `json:"reason"`
	}
	if resp.StatusCode >= 400 {
		_ = json.Unmarshal(body, &a) // without a reason the status decides
	} else if resp.StatusCode >= 300 {
		a.Reason = redirect
	}
	now := p.now()
	o := answers.Outcome(resp.StatusCode, a.Reason, now)
	if after := push.RetryAfter(resp.Header, now); after > 0 && !o.Action.Final() {
		o.After = after
	}
	if o.Action != push.Delivered && o.Reason != a.Reason {
		o.Err = push.Said(string(body), s.Endpoint, s.Keys.Auth, s.Keys.P256DH, authorization)
	}
	return o
}

// Close ends the connections.
func (p *Provider) Close() error {
	p.rt.CloseIdleConnections()
	return nil
}
