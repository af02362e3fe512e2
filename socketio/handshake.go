package socketio

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Handshake is how a client came: the request that began the connection, and the auth
// with which it joined the namespace. The maps are shared; do not change them.
type Handshake struct {
	Time    time.Time // of the request
	Address string    // of the peer, without port; behind a proxy it is the proxy's
	Secure  bool      // the connection has TLS here; behind a proxy see Headers
	Foreign bool      // it has an Origin, as those of pages of other origins have
	URL     string
	Query   url.Values
	Headers http.Header
	Auth    json.RawMessage
}

// Handshake describes how the client came. It is empty after
// engineio.Socket.ForgetRequest, except for Auth.
func (s *Socket) Handshake() Handshake {
	h := Handshake{Auth: s.Auth(), Time: s.client.engine.Began()}
	r := s.Request()
	if r == nil {
		return h
	}
	h.Address = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h.Address = host
	}
	h.Secure, h.Foreign = r.TLS != nil, r.Header.Get("Origin") != ""
	h.URL, h.Query, h.Headers = r.URL.RequestURI(), r.URL.Query(), r.Header
	return h
}
