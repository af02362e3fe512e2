package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Options are the address of the server and the credentials. Only URL is needed,
// and User or Token; everything else has a default.
type Options struct {
	URL    string      // ws://, wss://, http:// or https://, or none of them (see HTTP); without a path, /ws
	Header http.Header // more fields for the handshake
	TLS    *tls.Config // for wss; nil: the system's roots

	// Token is called for every connection, so that it can return a fresh token;
	// User is for servers that accept guests.
	Token func(ctx context.Context) (string, error)
	User  string
	Name  string // display name of a guest

	// Accepted is called when the server has put a message of the outbox into its durable
	// queue: it will be decided, whatever becomes of the server and of this client. Send goes
	// on until it is. Such a message may be accepted again, after a lost connection. The
	// client's reading goroutine calls it; it must not block. nil: nothing is called.
	Accepted func(room chat.RoomID, key string)

	Events  int           // bound of the events that wait for the consumer; default 1024
	Outbox  int           // bound of the sends that wait for their number; default 1024
	MinWait time.Duration // the longest pause before the first reconnection; default 250 ms
	MaxWait time.Duration // the longest pause before any; default 30 s
	Ping    time.Duration // silence after which a ping is sent; default 20 s

	Log *slog.Logger // lost and new connections; nil: nothing is logged
}

// complete checks o and fills in the defaults.
func (o Options) complete() (Options, error) {
	u, err := parseURL(o.URL)
	if err != nil {
		return o, err
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/ws"
	}
	o.URL = u.String()
	orElse(&o.Events, 1024)
	orElse(&o.Outbox, 1024)
	orElse(&o.MinWait, 250*time.Millisecond)
	orElse(&o.MaxWait, 30*time.Second)
	orElse(&o.Ping, 20*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// HTTP returns the base of the HTTP API of a node, without a slash at the end, from
// any URL that Options take. Without a scheme, as in localhost:8080, that is http for
// this machine and https for others: a token never leaves it in the open by mistake.
func HTTP(node string) (string, error) {
	u, err := parseURL(node)
	if err != nil {
		return "", err
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	u.RawQuery, u.Fragment = "", ""
	return u.String(), nil
}

// parseURL reads the URL of a node; the scheme becomes http or https.
func parseURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		guess := "https://" + s
		if u, err := url.Parse(guess); err == nil && local(u.Hostname()) {
			guess = "http://" + s
		}
		s = guess
	}
	u, err := url.Parse(s)
	if err == nil {
		switch u.Scheme {
		case "ws", "http":
			u.Scheme = "http"
		case "wss", "https":
			u.Scheme = "https"
		default:
			u = nil
		}
	}
	if u == nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not the URL of a node, such as http://127.0.0.1:8080 or https://chat.example.org", s)
	}
	return u, nil
}

// local reports whether the host is this machine under a name that says so.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func orElse[N int | time.Duration](v *N, def N) {
	if *v <= 0 {
		*v = def
	}
}
