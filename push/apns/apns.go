// Package apns pushes through the Apple Push Notification service to apps on iOS, macOS and
// the others: HTTP/2, authenticated by provider tokens that a team's key signs.
package apns

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
)

// Config configures a Provider. Key and Topics are required.
type Config struct {
	Key    *Key
	Topics []string // bundle ids of the apps

	Production string // URL; default https://api.push.apple.com
	Sandbox    string // URL; default https://api.sandbox.push.apple.com
	Conns      int    // the most connections to each; default 4

	// Transport makes the connections; default: one of its own, through the proxy that the
	// environment names.
	Transport *http.Transport
	RootCAs   *x509.CertPool   // of that one of its own; nil: those of the system
	Now       func() time.Time // default time.Now
}

// Provider pushes for one team.
type Provider struct {
	// Set once.
	topics       []string
	tokens       tokens
	now          func() time.Time
	environments map[string]*environment
}

type environment struct {
	url  string
	pool *pool
}

var _ push.Provider = (*Provider)(nil)

// New returns a Provider. It connects when there is something to send.
func New(c Config) (*Provider, error) {
	if c.Key == nil || len(c.Topics) == 0 {
		return nil, chat.E(chat.Invalid, "APNs needs a key, and the topic (bundle id) of an app at least")
	}
	if c.Production == "" {
		c.Production = "https://api.push.apple.com"
	}
	if c.Sandbox == "" {
		c.Sandbox = "https://api.sandbox.push.apple.com"
	}
	if c.Conns == 0 {
		c.Conns = 4
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: c.RootCAs}, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 32 << 10}
	}
	rt := c.Transport.Clone()
	rt.Protocols = new(http.Protocols)
	rt.Protocols.SetHTTP2(true)
	rt.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	p := &Provider{
		topics: slices.Clone(c.Topics), now: c.Now, environments: map[string]*environment{},
		tokens: tokens{key: c.Key, now: c.Now},
	}
	for name, text := range map[string]string{production: c.Production, sandbox: c.Sandbox} {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, chat.E(chat.Invalid, "the URLs of APNs begin with https://")
		}
		host := net.JoinHostPort(u.Hostname(), u.Port())
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "443")
		}
		p.environments[name] = &environment{strings.TrimSuffix(text, "/"), newPool(host, rt, c.Conns)}
	}
	return p, nil
}

// Name is "apns".
func (*Provider) Name() string { return "apns" }

// Service is an app in an environment: each has its own permissions.
func (p *Provider) Service(text string) string {
	a, err := parseAddress([]byte(text), p.topics)
	if err != nil {
		return ""
	}
	return a.Environment + "/" + a.Topic
}

// Check reads {"token": …, "topic": …, "environment": …}. With one configured topic, that is
// the default; production is the default environment.
func (p *Provider) Check(text []byte) (string, error) {
	a, err := parseAddress(text, p.topics)
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(a)
	return string(canonical), err
}

// Send is push.Provider.Send.
func (p *Provider) Send(ctx context.Context, text string, n *push.Notification) push.Outcome {
	to, err := parseAddress([]byte(text), p.topics)
	if err != nil { // such as a topic that is configured no more
		return push.Outcome{Action: push.Rejected, Reason: "bad_address"}
	}
	c, failed := compose(n)
	if failed != nil {
		return *failed
	}
	token, err := p.tokens.get()
	if err != nil {
		return push.Outcome{Action: push.Misconfigured, Reason: "signature", Err: err}
	}
	env := p.environments[to.Environment]
	for again := false; ; again = true {
		o, ended := p.attempt(ctx, env, to, n, &c, token)
		if !ended || again || ctx.Err() != nil {
			return o
		}
	}
}

// attempt makes one request. ended tells that a connection that was kept open had ended.
func (p *Provider) attempt(ctx context.Context, env *environment, to address, n *push.Notification, c *composed, token string) (o push.Outcome, ended bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, env.url+"/3/device/"+to.Token, bytes.NewReader(c.body))
	if err != nil {
		return push.Outcome{Action: push.Misconfigured, Reason: "url"}, false
	}
	header(req.Header, to, n, c, token)
	conn, alone, err := env.pool.acquire(ctx)
	if err != nil {
		return push.Failed(ctx, err), errors.Is(err, errClosed)
	}
	used := env.pool.wasUsed(conn)
	resp, err := conn.RoundTrip(req)
	if err != nil {
		env.pool.release(conn, alone, false, true)
		return push.Failed(ctx, err), used
	}
	body, err := push.Body(resp)
	env.pool.release(conn, alone, resp.StatusCode != http.StatusForbidden, err != nil)
	if err != nil && resp.StatusCode != http.StatusOK {
		return push.Failed(ctx, err), false
	}
	o, said := p.answered(resp, body)
	o.Err = push.Said(said, to.Token, token)
	return o, false
}

// header is what a request says beside its body. The order of names and their case do not
// matter in HTTP/2.
func header(h http.Header, to address, n *push.Notification, c *composed, token string) {
	h.Set("Authorization", "bearer "+token)
	h.Set("Content-Type", "application/json")
	h.Set("Apns-Topic", to.Topic)
	h.Set("Apns-Push-Type", c.pushType)
	h.Set("Apns-Priority", c.priority)
	h.Set("Apns-Expiration", strconv.FormatInt(n.Expires.Unix(), 10))
	h.Set("Apns-Id", n.ID)
	if key := n.CollapseKey(); key != "" {
		h.Set("Apns-Collapse-Id", key)
	}
}

// answered reads an answer. said is a reason that the table does not name.
func (p *Provider) answered(resp *http.Response, body []byte) (o push.Outcome, said string) {
	var a struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"` // of 410, in milliseconds
	}
	_ = json.Unmarshal(body, &a) // without a reason the status decides
	now := p.now()
	o = answers.Outcome(resp.StatusCode, a.Reason, now)
	o.ID = resp.Header.Get("Apns-Id")
	if after := push.RetryAfter(resp.Header, now); after > 0 && !o.Action.Final() {
		o.After = after
	}
	if o.Action == push.Dead && a.Timestamp > 0 {
		if since := time.UnixMilli(a.Timestamp); since.Before(now) {
			o.Since = since
		}
	}
	if a.Reason != o.Reason {
		said = a.Reason
	}
	return o, said
}

// Close ends the connections.
func (p *Provider) Close() error {
	var errs []error
	for _, env := range p.environments {
		errs = append(errs, env.pool.close())
	}
	return errors.Join(errs...)
}
