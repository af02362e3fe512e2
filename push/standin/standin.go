// Package standin is FCM, APNs and a Web Push service in one server, as far as a sender sees
// them: it checks what they check (TLS, HTTP/2, signatures and times of tokens, headers,
// sizes, the encryption of Web Push), answers as they do, and fails on demand. Tests of the
// drivers run against it, and "roomtide push stand-in" runs it for development.
//
// The paths are those of the real ones:
//
//	POST /token                           OAuth 2.0 of Google: access tokens
//	POST /v1/projects/…/messages:send     FCM
//	POST /3/device/…                      APNs, production; below /sandbox the sandbox
//	POST /push/…                          Web Push
//
// It makes its own certificate and credentials, which are worth nothing elsewhere.
package standin

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
)

// Services that can be scripted.
const (
	FCM     = "fcm"
	APNs    = "apns"
	WebPush = "webpush"
	Token   = "token" // of Google
)

// Config configures a Server.
type Config struct {
	Listen string           // default 127.0.0.1:0
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // of net/http's complaints; default: discarded

	// Accepted is called with each notification that a service takes, and must be quick.
	Accepted func(Notification)
}

// Notification is what a service took.
type Notification struct {
	Service  string            `json:"service"`
	Target   string            `json:"target"` // token, or id of the subscription
	Header   map[string]string `json:"header,omitempty"`
	Payload  string            `json:"payload"` // JSON; of Web Push decrypted
	Protocol string            `json:"protocol"`
}

// keptNotifications bounds what Notifications returns.
const keptNotifications = 4096

// Server is a stand-in that runs. Methods are safe for concurrent use.
type Server struct {
	// Set once.
	cfg      Config
	url      string
	material *material
	http     *http.Server
	ctx      context.Context // ends with Close: silence does too
	cancel   context.CancelFunc
	serving  sync.WaitGroup

	mu sync.Mutex

	// Guarded by mu.
	script       map[string][]Answer
	accepted     []Notification // the last ones
	count        map[string]int // of all, by service
	refused      []string       // why requests were refused by checks, the last ones
	devices      map[string]*device
	access       map[string]time.Time // FCM's access tokens, and their ends
	verified     *lru.Map[string, jwt.MapClaims]
	provider     string    // APNs: the newest provider token
	providerMade time.Time // when it was first seen
	connections  int       // that brought a request to APNs
}

// Open starts a server.
func Open(cfg Config) (*Server, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "standin.listen", err)
	}
	s := &Server{
		cfg: cfg, url: "https://" + listener.Addr().String(),
		script: map[string][]Answer{}, count: map[string]int{}, devices: map[string]*device{}, access: map[string]time.Time{},
		verified: lru.New[string, jwt.MapClaims](1024),
	}
	if s.material, err = newMaterial(listener.Addr(), s.url); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.routes(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{s.material.certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000},
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &connection{net: c})
		},
	}
	s.serving.Go(func() { _ = s.http.ServeTLS(listener, "", "") }) // it ends with Close
	return s, nil
}

type connKey struct{}

// connection is one of a client.
type connection struct {
	net net.Conn // *tls.Conn

	mu      sync.Mutex
	proven  bool // guarded by mu: APNs has seen a valid token on it
	running int  // guarded by mu: requests to APNs
	counted bool // guarded by mu
}

func connOf(r *http.Request) *connection { return r.Context().Value(connKey{}).(*connection) }

// reset ends the connection without a word, as a crash does.
func (c *connection) reset() {
	raw := c.net
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // what matters is the end
	}
	_ = raw.Close()
}

// Close ends the server and its connections.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.serving.Wait()
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("/v1/projects/", s.fcm)
	mux.HandleFunc("/3/device/", func(w http.ResponseWriter, r *http.Request) { s.apns(w, r, "production") })
	mux.HandleFunc("/sandbox/3/device/", func(w http.ResponseWriter, r *http.Request) { s.apns(w, r, "sandbox") })
	mux.HandleFunc("/push/", s.webPush)
	s.control(mux)
	return mux
}

// URL is where it listens, without a slash at the end.
func (s *Server) URL() string { return s.url }

// Script has the next requests to services answered so. What is not a valid request is
// refused first, and uses up no answer.
func (s *Server) Script(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range answers {
		a.Times = max(1, a.Times)
		s.script[a.Service] = append(s.script[a.Service], a)
	}
}

// Reset forgets what was scripted and what was taken.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.script)
	clear(s.count)
	s.accepted, s.refused = nil, nil
}

// scripted takes the next answer for a service.
func (s *Server) scripted(service string) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.script[service]
	if len(queue) == 0 {
		return Answer{}, false
	}
	if queue[0].Times--; queue[0].Times == 0 {
		s.script[service] = queue[1:]
	}
	return queue[0], true
}

// Notifications returns what was taken, the last thousands.
func (s *Server) Notifications() []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}

// Count is how many notifications a service has taken.
func (s *Server) Count(service string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[service]
}

// Refused tells why requests were refused by the checks, and not on demand.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// Connections is how many connections have brought requests to APNs.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Revoke makes Google's access tokens worthless.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

func (s *Server) take(r *http.Request, n Notification) {
	n.Protocol = r.Proto
	n.Header = map[string]string{}
	for name, values := range r.Header {
		if name != "Authorization" && name != "User-Agent" && name != "Content-Length" {
			n.Header[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	s.mu.Lock()
	if len(s.accepted) >= keptNotifications {
		s.accepted = slices.Clone(s.accepted[keptNotifications/2:])
	}
	s.accepted = append(s.accepted, n)
	s.count[n.Service]++
	s.mu.Unlock()
	if s.cfg.Accepted != nil {
		s.cfg.Accepted(n)
	}
}

// refuse notes why a request was refused by a check.
func (s *Server) refuse(service, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) >= 256 {
		s.refused = slices.Clone(s.refused[128:])
	}
	s.refused = append(s.refused, service+": "+reason)
}
