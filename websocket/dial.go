package websocket

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Dialer opens client connections. The zero Dialer is ready.
type Dialer struct {
	TLS       *tls.Config // for wss; nil: the system's roots
	Protocols []string    // subprotocols to offer
	Deflate   bool        // offer permessage-deflate
	NetDial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Dial connects to a ws:// or wss:// URL with the zero Dialer.
func Dial(ctx context.Context, url string, header http.Header) (*Conn, error) {
	return new(Dialer).Dial(ctx, url, header)
}

// maxAnswer bounds the server's answer to the handshake.
const maxAnswer = 64 << 10

// Dial connects to a ws:// or wss:// URL. ctx bounds the handshake only. header
// may hold more fields for the request. A server that answers something else than a WebSocket gives a *HandshakeError.
func (d *Dialer) Dial(ctx context.Context, rawURL string, header http.Header) (*Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	nc, err := d.connect(ctx, u)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	c, err := d.handshake(nc, u, header)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return c, nil
}

func (d *Dialer) connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	if port == "" || u.Hostname() == "" {
		return nil, errors.New("websocket: not a ws:// or wss:// address")
	}
	if p := u.Port(); p != "" {
		port = p
	}
	dial := d.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil || u.Scheme == "ws" {
		return nc, err
	}
	cfg := d.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

func (d *Dialer) handshake(nc net.Conn, u *url.URL, header http.Header) (*Conn, error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	if err := d.writeRequest(nc, u, header, key); err != nil {
		return nil, err
	}
	br := bufio.NewReader(io.LimitReader(nc, maxAnswer))
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, &HandshakeError{resp.StatusCode, resp.Header}
	}
	protocol := resp.Header.Get("Sec-WebSocket-Protocol")
	switch {
	case !hasToken(resp.Header, "Connection", "upgrade"), !hasToken(resp.Header, "Upgrade", "websocket"),
		resp.Header.Get("Sec-WebSocket-Accept") != Accept(key):
		return nil, errors.New("websocket: the answer to the handshake is wrong")
	case protocol != "" && !slices.Contains(d.Protocols, protocol):
		return nil, errors.New("websocket: the server chose a subprotocol that was not offered")
	}
	agreed, err := checkDeflate(resp.Header, d.Deflate)
	if err != nil {
		return nil, err
	}
	early, _ := br.Peek(br.Buffered())
	c := newConn(nc, true, protocol, early)
	c.deflate = agreed
	return c, nil
}

func (d *Dialer) writeRequest(nc net.Conn, u *url.URL, header http.Header, key string) error {
	h := header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Del("Host")
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", key)
	if len(d.Protocols) > 0 {
		h.Set("Sec-WebSocket-Protocol", strings.Join(d.Protocols, ", "))
	}
	if d.Deflate {
		h.Set("Sec-WebSocket-Extensions", deflateTerms)
	}
	var b strings.Builder
	b.WriteString("GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n")
	h.Write(&b)
	b.WriteString("\r\n")
	_, err := io.WriteString(nc, b.String())
	return err
}
