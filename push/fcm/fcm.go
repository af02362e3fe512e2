// Package fcm pushes through Firebase Cloud Messaging, HTTP v1, to apps on Android, and to
// those on iOS and in browsers that use the Firebase SDK. It authenticates as a service
// account of the project.
package fcm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
)

// Config configures a Provider. Account is required.
type Config struct {
	Account *Account

	URL      string // default https://fcm.googleapis.com
	TokenURL string // default: that of the account
	// Transport makes the connections; default: one of its own, through the proxy that the
	// environment names.
	Transport *http.Transport
	RootCAs   *x509.CertPool   // of that one of its own; nil: those of the system
	Now       func() time.Time // default time.Now
}

// Provider pushes to one Firebase project.
type Provider struct {
	// Set once.
	send   string // URL of messages:send
	rt     *http.Transport
	tokens *tokens
	now    func() time.Time
}

var _ push.Provider = (*Provider)(nil)

// New returns a Provider. It asks nothing of Google yet.
func New(c Config) (*Provider, error) {
	if c.Account == nil {
		return nil, chat.E(chat.Invalid, "FCM needs a service account")
	}
	if c.URL == "" {
		c.URL = "https://fcm.googleapis.com"
	}
	if c.TokenURL == "" {
		c.TokenURL = c.Account.tokenURL
	}
	for _, s := range []string{c.URL, c.TokenURL} {
		if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, chat.E(chat.Invalid, "the URLs of FCM begin with https://")
		}
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: c.RootCAs},
			TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: 32 << 10,
			HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Provider{
		send: c.URL + "/v1/projects/" + c.Account.Project + "/messages:send",
		rt:   c.Transport, now: c.Now,
		tokens: newTokens(c.Account, c.TokenURL, c.Transport, c.Now),
	}, nil
}

// Name is "fcm".
func (*Provider) Name() string { return "fcm" }

// Service is always the same.
func (*Provider) Service(string) string { return "" }

// Check reads {"token": …} or {"fid": …}.
func (*Provider) Check(text []byte) (string, error) {
	a, err := parseAddress(text)
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(a)
	return string(canonical), err
}

// Send is push.Provider.Send. An access token that is refused is fetched anew, once.
func (p *Provider) Send(ctx context.Context, text string, n *push.Notification) push.Outcome {
	to, err := parseAddress([]byte(text))
	if err != nil {
		return push.Outcome{Action: push.Rejected, Reason: "bad_address"}
	}
	body, failed := compose(to, n, p.now())
	if failed != nil {
		return *failed
	}
	for again := false; ; again = true {
		token, failed := p.tokens.get(ctx)
		if failed != nil {
			return *failed
		}
		o, refused := p.attempt(ctx, token, to, body)
		if !refused || again {
			return o
		}
		p.tokens.drop(token)
	}
}

// attempt makes one request. refused tells that the access token was not taken.
func (p *Provider) attempt(ctx context.Context, token string, to address, body []byte) (o push.Outcome, refused bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.send, bytes.NewReader(body))
	if err != nil {
		return push.Outcome{Action: push.Misconfigured, Reason: "url"}, false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.rt.RoundTrip(req)
	if err != nil {
		return push.Failed(ctx, err), false
	}
	answer, err := push.Body(resp)
	if err != nil && resp.StatusCode != http.StatusOK {
		return push.Failed(ctx, err), false
	}
	if resp.StatusCode == http.StatusOK { // it has it, whatever else it says
		var ok struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(answer, &ok) // the name is for logs only
		o = answers.Outcome(resp.StatusCode, "", p.now())
		o.ID = ok.Name
		return o, false
	}
	reason, message := readFailure(answer)
	o = answers.Outcome(resp.StatusCode, reason, p.now())
	if after := push.RetryAfter(resp.Header, p.now()); after > 0 && !o.Action.Final() {
		o.After = after
	}
	o.Err = push.Said(message, token, to.Token, to.FID)
	return o, resp.StatusCode == http.StatusUnauthorized && o.Action == push.Misconfigured
}

// Close ends the connections.
func (p *Provider) Close() error {
	p.tokens.close()
	p.rt.CloseIdleConnections()
	return nil
}
