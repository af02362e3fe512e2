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

// Options say where the server is and who speaks. Only URL is needed, and User
// or Token; everything else has a default.
type Options struct {
	URL    string      // ws://, wss://, http:// or https://; without a path, /ws
	Header http.Header // more fields for the handshake
	TLS    *tls.Config // for wss; nil: the system's roots

	// Who speaks. Token is asked at every connection, so that it may return a
	// fresh one; User is for servers that welcome guests.
	Token func(ctx context.Context) (string, error)
	User  string
	Name  string // display name of a guest

	Events  int           // events that wait for the consumer; default 1024
	Outbox  int           // sends that wait for their number; default 1024
	MinWait time.Duration // the longest pause before the first try to come back; default 250 ms
	MaxWait time.Duration // the longest pause before any; default 30 s
	Ping    time.Duration // asks for a sign of life after that much silence; default 20 s

	Log *slog.Logger // connections that come and go; nil: silence
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
