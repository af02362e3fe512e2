package client

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options are the address of the server and the credentials. Only URL is needed,
// and User or Token; everything else has a default.
type Options struct {
	URL    string      // ws://, wss://, http:// or https://; without a path, /ws
	Header http.Header // more fields for the handshake
	TLS    *tls.Config // for wss; nil: the system's roots

	// Token is called for every connection, so that it can return a fresh token;
	// User is for servers that accept guests.
	Token func(ctx context.Context) (string, error)
	User  string
	Name  string // display name of a guest

	Events  int           // bound of the events that wait for the consumer; default 1024
	Outbox  int           // bound of the sends that wait for their number; default 1024
	MinWait time.Duration // the longest pause before the first reconnection; default 250 ms
	MaxWait time.Duration // the longest pause before any; default 30 s
	Ping    time.Duration // silence after which a ping is sent; default 20 s

	Log *slog.Logger // lost and new connections; nil: nothing is logged
}

// complete checks o and fills in the defaults.
func (o Options) complete() (Options, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return o, err
	}
	scheme, ok := map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}[u.Scheme]
	if !ok || u.Host == "" {
		return o, errors.New("client: the URL is not ws://, wss://, http:// or https://")
	}
	u.Scheme = scheme
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

func orElse[N int | time.Duration](v *N, def N) {
	if *v <= 0 {
		*v = def
	}
}
