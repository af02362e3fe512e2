package embednats

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/certfile"
)

const (
	clientName  = "node"
	systemName  = "system"   // who may change what servers JetStream has
	clusterName = "roomtide" // clusters are told apart by their secrets

	maxMemory = 64 << 20 // of streams in memory, of which the queue has none

	// A server that hangs or is cut off is noticed after some four seconds.
	routePing    = time.Second
	routeUnheard = 3

	handshakeTime = 5 // seconds, for TLS and the secret of a route
)

// options are those of the server.
func (s *Server) options() (*natsd.Options, error) {
	o := &natsd.Options{
		ServerName: s.cfg.Name, Host: "127.0.0.1", Port: natsd.RANDOM_PORT,
		CustomClientAuthentication: gate{s}, NoSigs: true,
		JetStream: true, StoreDir: s.dir(), SyncAlways: true, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: s.cfg.MaxBytes,
		DisableJetStreamBanner: true,
	}
	if s.Size() == 1 {
		o.DontListen = true
		return o, nil
	}
	host, port, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "embednats.start", Text: s.cfg.Listen + " is not an address", Err: err}
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "embednats.start", Text: s.cfg.Listen + " is not an address", Err: err}
	}
	if host == "" {
		host = "0.0.0.0"
	}
	c := &o.Cluster
	c.Name, c.Host, c.Port = clusterName, host, number
	c.NoAdvertise = true // of where clients are taken
	c.PoolSize = 1       // connections for messages; JetStream has one of its own
	c.PingInterval, c.MaxPingsOut = routePing, routeUnheard
	c.AuthTimeout, c.TLSTimeout = handshakeTime, handshakeTime
	if s.cfg.Secret != "" {
		c.Username, c.Password = clusterName, s.cfg.Secret
	}
	for _, address := range s.cfg.Routes {
		u := &url.URL{Scheme: "nats-route", Host: address}
		if s.cfg.Secret != "" {
			u.User = url.UserPassword(c.Username, c.Password)
		}
		o.Routes = append(o.Routes, u)
	}
	c.TLSConfig, err = s.cfg.tls()
	return o, err
}

// tls is how the servers of a cluster prove their identity to each other; nil: not by TLS.
func (cfg *Config) tls() (*tls.Config, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	invalid := func(text string, err error) error {
		return &chat.Error{Kind: chat.Invalid, Op: "embednats.start", Text: text, Err: err}
	}
	pair, err := certfile.Load(cfg.TLSCert, cfg.TLSKey, cfg.Log)
	if err != nil {
		return nil, invalid("nats.tls_cert and nats.tls_key cannot be used: both are PEM files, and belong together", err)
	}
	pem, err := os.ReadFile(cfg.TLSCA)
	if err != nil {
		return nil, invalid("nats.tls_ca cannot be read", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, invalid("nats.tls_ca has no certificate in it: it is a PEM file", nil)
	}
	mutual := pair.Mutual()
	mutual.RootCAs, mutual.ClientCAs = authorities, authorities
	return mutual, nil
}

// gate lets this process in.
type gate struct{ s *Server }

// Check implements natsd.Authentication.
func (g gate) Check(c natsd.ClientAuthentication) bool {
	if c.Kind() != natsd.CLIENT || subtle.ConstantTimeCompare([]byte(c.GetOpts().Password), []byte(g.s.password)) != 1 {
		return false
	}
	if c.GetOpts().Username == systemName {
		c.RegisterUser(&natsd.User{Username: systemName, Account: g.s.natsd.SystemAccount()})
	}
	return true
}
