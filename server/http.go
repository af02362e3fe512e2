package server

import (
	"net"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/httpapi"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/internal/certfile"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/origin"
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

// Connections that have not authenticated yet, of WebSockets and Socket.IO together.
// With the handshakes of one network in turn with those of others, the oldest of a
// flood is a second or more old when it is ended, which is enough for an honest client
// of the same network to authenticate.
const (
	pendingConns      = 8192
	pendingPerNetwork = 1024
)

// resumeFile is where resumable Socket.IO sessions are kept while the node is down.
const resumeFile = "resume.json"

// openHTTP builds the transports.
func (s *Server) openHTTP() error {
	from := clientaddr.Proxies(s.cfg.Proxies())
	conns := connlimit.New(s.cfg.MaxConnections, s.cfg.MaxConnectionsPerIP)
	if err := s.shareLimits(conns); err != nil {
		return err
	}
	pending := connlimit.NewPending(pendingConns, pendingPerNetwork)
	deps := s.sessionDeps()
	g := s.newGuests(from)
	s.sockets = wsapi.New(wsapi.Config{
		Hub: s.hub,
		Open: func(c *hub.Conn, codec wsapi.Codec, r *http.Request) wsapi.Session {
			return session.New(deps, c, codec).From(g.caller(r))
		},
		Origins: s.cfg.Origins, Network: from.ClientNetwork,
		Conns: conns, Pending: pending, FrameBytes: deps.Limits.FrameBytes, Deflate: s.cfg.Compression, Log: s.log, Registerer: s.reg,
	})
	s.onClose(s.sockets.Close)
	if err := s.openSocketIO(g, conns, pending); err != nil {
		return err
	}
	api := httpapi.New(httpapi.Config{
		Engine: s.engine, Hub: s.hub, Verifier: s.verifier, Registry: s.reg, Mover: s.mover, Feeds: s.feeds, Adoptions: s.store.Control, Nodes: s.nodes, Revoke: s.revoke,
		Webhooks: s.webhooks, Push: s.sender, PushTTL: time.Duration(s.cfg.Push.TTL),
		Limits: *deps.Limits, Origins: s.cfg.Origins, Conns: conns,
		PublicMetrics: s.cfg.MetricsPublic, Ready: s.ready, ClientIP: from.Client, Network: from.ClientNetwork,
		OnStream: noticeLoss, NoGuest: g.refuse, Known: g.hosts.Knows, Log: s.log,
	})
	s.openAdmin(api.Admin())
	watchPending(s.reg, pending)
	d := s.openDoor(from, conns)
	h := split(s.sockets, s.socketIO, api, web.New())
	h = s.tellSelf(g, from, h)
	h = paced(newHandshakes(handshakeRate(s.cfg.AcceptRate), s.reg), from.ClientNetwork, h)
	h = warnOfProxies(s.log, from, s.cfg, h)
	if err := s.openFront(h); err != nil {
		return err
	}
	s.http.ConnState, s.http.ConnContext = d.stateChanged, withConn
	s.onClose(func() { s.http.Close() })
	if err := s.openMetrics(); err != nil {
		return err
	}
	return s.openPprof()
}

// openSocketIO builds the transport for Socket.IO.
func (s *Server) openSocketIO(g *guests, conns *connlimit.Limiter, pending *connlimit.Pending) error {
	deps := s.sessionDeps()
	cfg := sioapi.Config{
		Hub: s.hub,
		Open: func(c *hub.Conn, codec sioapi.Codec, r *http.Request) *session.Session {
			return session.New(deps, c, codec).From(g.caller(r))
		},
		Origins: s.cfg.Origins, Network: g.from.ClientNetwork,
		Conns: conns, Pending: pending, MaxConns: s.cfg.MaxConnections,
		FrameBytes: deps.Limits.FrameBytes, Deflate: s.cfg.Compression, Log: s.log, Registerer: s.reg,
		Secret: s.secret, ResumeFile: filepath.Join(s.cfg.DataDir, resumeFile), Recovery: s.cfg.SocketIORecovery,
	}
	s.shareSessions(&cfg)
	s.socketIO = sioapi.New(cfg)
	err := s.openAway()
	s.onClose(s.socketIO.Close)
	return err
}

// openFront makes the server that clients reach, with its certificate if it has one.
func (s *Server) openFront(h http.Handler) error {
	if !s.cfg.HTTPS() {
		s.http = s.newHTTP(h, bodyTime)
		return nil
	}
	pair, err := certfile.Load(s.cfg.TLS.Cert, s.cfg.TLS.Key, s.log)
	if err != nil {
		return &chat.Error{Kind: chat.Invalid, Op: "server.tls", Text: "tls.cert and tls.key cannot be used: both are PEM files, and belong together", Err: err}
	}
	s.http = s.newHTTP(strict(time.Duration(s.cfg.HSTS), h), bodyTime)
	s.http.TLSConfig = pair.Server()
	return nil
}

// newHTTP returns a server with all its timeouts. A body may take as long as patience.
func (s *Server) newHTTP(h http.Handler, patience time.Duration) *http.Server {
	return &http.Server{
		Handler:           boundBodies(h, patience),
		ReadHeaderTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerSize,
		ErrorLog: logAdapter(s.log), DisableGeneralOptionsHandler: true, // it is without a deadline for bodies
	}
}

// openDoor puts the door in front of the listener.
func (s *Server) openDoor(from clientaddr.Proxies, conns *connlimit.Limiter) *door {
	files := maxFiles()
	// The default is a bound for large machines: only a number that was chosen and does
	// not fit is a mistake.
	if chosen := s.cfg.MaxConnections != config.Default().MaxConnections; chosen && files > 0 && s.cfg.MaxConnections > files-filesReserved {
		s.log.Warn("max_connections is more than this process may have files open: raise the limit (ulimit -n, LimitNOFILE= of systemd), or lower max_connections",
			"max_connections", s.cfg.MaxConnections, "files", files, "connections_that_fit", max(0, files-filesReserved))
	}
	d := newDoor(s.listener, doorConfig{
		Proxies: from, Max: s.cfg.MaxConnections, PerNetwork: s.cfg.MaxConnectionsPerIP,
		PerSecond: handshakeRate(s.cfg.AcceptRate), Files: files, Others: conns.InUse, Greeting: newGreeting(s.log), Registerer: s.reg,
	})
	s.listener = d
	return d
}

// openMetrics serves the metrics, and nothing else, on an address of their own.
func (s *Server) openMetrics() error {
	if s.cfg.MetricsListen == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{}))
	var err error
	s.metrics, err = s.serveAside("server.metrics", s.cfg.MetricsListen, mux)
	return err
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
	_, err := s.serveAside("server.pprof", s.cfg.Pprof, mux)
	return err
}

// serveAside serves h on an address of its own, which it returns, until Close. What
// this machine alone can reach is not for a page that points its own name there.
func (s *Server) serveAside(op, address string, h http.Handler) (string, error) {
	ln, err := listen(address)
	if err != nil {
		return "", &chat.Error{Kind: chat.Unavailable, Op: op, Err: err, Text: "cannot listen on " + address}
	}
	if ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
		h = known(origin.NewHosts(address, nil), h)
	}
	srv := s.newHTTP(h, bodyTime)
	srv.WriteTimeout = 0 // a profile takes as long as it was asked to
	s.onClose(func() { srv.Close() })
	go srv.Serve(ln) // ends with Close
	return ln.Addr().String(), nil
}
