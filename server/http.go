package server

import (
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/httpapi"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/sioapi"
	"github.com/roomtide/roomtide/web"
	"github.com/roomtide/roomtide/wsapi"
)

// Timeouts against peers that are slow on purpose. Event streams and sockets
// last, and have timeouts of their own.
const (
	headerTime = 10 * time.Second
	answerTime = time.Minute
	idleTime   = 2 * time.Minute
	headerSize = 32 << 10
)

// resumeFile is where resumable Socket.IO sessions are kept while the node is down.
const resumeFile = "resume.json"

// openHTTP builds the transports.
func (s *Server) openHTTP() error {
	from := clientaddr.Proxies(s.cfg.Proxies())
	conns := connlimit.New(s.cfg.MaxConnections, s.cfg.MaxConnectionsPerIP)
	deps := s.sessionDeps()
	s.sockets = wsapi.New(wsapi.Config{
		Hub:     s.hub,
		Open:    func(c *hub.Conn, codec wsapi.Codec) wsapi.Session { return session.New(deps, c, codec) },
		Origins: s.cfg.Origins, ClientIP: from.Client,
		Conns: conns, FrameBytes: deps.Limits.FrameBytes, Deflate: s.cfg.Compression, Log: s.log, Registerer: s.reg,
	})
	s.onClose(s.sockets.Close)
	s.socketIO = sioapi.New(sioapi.Config{
		Hub:      s.hub,
		Open:     func(c *hub.Conn, codec sioapi.Codec) *session.Session { return session.New(deps, c, codec) },
		NoGuests: !deps.Guests, Origins: s.cfg.Origins, ClientIP: from.Client,
		Conns: conns, MaxConns: s.cfg.MaxConnections,
		FrameBytes: deps.Limits.FrameBytes, Deflate: s.cfg.Compression, Log: s.log, Registerer: s.reg,
		Secret: s.secret, ResumeFile: filepath.Join(s.cfg.DataDir, resumeFile), Recovery: s.cfg.SocketIORecovery,
	})
	s.onClose(s.socketIO.Close)
	api := httpapi.New(httpapi.Config{
		Engine: s.engine, Hub: s.hub, Verifier: s.verifier, Registry: s.reg,
		Limits: *deps.Limits, Presence: s.presence, Origins: s.cfg.Origins,
		PublicMetrics: s.cfg.MetricsPublic, Ready: s.ready, ClientIP: from.Client, Log: s.log,
	})
	s.http = &http.Server{
		Handler:           split(s.sockets, s.socketIO, api, web.New()),
		ReadHeaderTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerSize,
		ErrorLog: logAdapter(s.log),
	}
	s.onClose(func() { s.http.Close() })
	return s.openPprof()
}

// split gives each request to its transport. The root takes WebSockets too.
func split(sockets, socketIO, api, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/ws", p == "/" && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			sockets.ServeHTTP(w, r)
		case strings.HasPrefix(p, "/socket.io/"), p == "/socket.io":
			socketIO.ServeHTTP(w, r)
		case strings.HasPrefix(p, "/v1/"), p == "/healthz", p == "/readyz", p == "/metrics", p == "/openapi.json":
			api.ServeHTTP(w, r)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

// openPprof serves profiles where the configuration says so, which is loopback.
func (s *Server) openPprof() error {
	if s.cfg.Pprof == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	ln, err := listen(s.cfg.Pprof)
	if err != nil {
		return &chat.Error{Kind: chat.Unavailable, Op: "server.pprof", Err: err, Text: "cannot listen on " + s.cfg.Pprof}
	}
	s.pprof = &http.Server{Handler: mux, ReadHeaderTimeout: headerTime}
	s.onClose(func() { s.pprof.Close() })
	go s.pprof.Serve(ln) // ends with Close
	return nil
}
