// Package natslink is this node's connection to the NATS servers through which the
// nodes of a cluster speak to each other. It connects once and stays: what is behind
// it (the bus, the relay) lives with times in which no server answers, and is told
// when one does again.
package natslink

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// Config is how a Conn is made.
type Config struct {
	URLs        []string // nats:// or tls://; the first one is tried first
	Node        string   // names the connection on the servers
	User        string   // with Password; empty: none
	Password    string
	Credentials string // file with the credentials of NATS; empty: none
	TLSCA       string // file with the certificates that may sign the servers'; empty: those of the system
	TLSCert     string // file with this node's certificate, with TLSKey; empty: none
	TLSKey      string

	// InProcess is a server in this process, which is used instead of those of URLs; nil:
	// none.
	InProcess nats.InProcessConnProvider

	Timeout    time.Duration         // of one attempt to connect; 0: 2 s
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

const (
	defaultTimeout = 2 * time.Second

	// A server that hangs is noticed after two pings, and a write into its full
	// socket, which holds the connection's lock, is given up as soon.
	pingInterval  = time.Second
	pingsUnheard  = 2
	writeDeadline = 2 * time.Second

	// All nodes lose a server at the same time; they do not all come back at once.
	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond

	// Nothing is kept for later while no server answers: publishing fails at once.
	// The sender knows better than a buffer what is still worth sending: the relay
	// sends its changes again, and a hole in the positions of a lane costs receivers
	// less than events that come seconds late and out of step with the store.
	reconnectBuffer = -1
)

// Conn is the connection. Safe for concurrent use.
type Conn struct {
	// Set once.
	log        *slog.Logger
	nc         *nats.Conn
	reconnects prometheus.Counter
	slow       prometheus.Counter

	lost atomic.Int64 // Unix nanoseconds: when the connection was lost; 0: it was not since it was made

	mu          sync.Mutex
	onReconnect []func() // guarded by mu

	missing sync.Mutex // held while what is in onReconnect runs
}

// Dial connects. It fails if no server can be used now; once it has succeeded, the
// connection comes back by itself, for ever. An error is a chat.Error whose text says
// what to do: of kind Invalid if the settings are at fault, Unauthed if the servers
// refuse them, Unavailable if no server answers.
func Dial(cfg Config) (*Conn, error) {
	c := &Conn{
		log: cfg.Log,
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roomtide_nats_reconnects_total", Help: "Times the connection to NATS was made again.",
		}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roomtide_nats_slow_consumers_total", Help: "Times a subscription of this node began to lose messages because they were not taken in time.",
		}),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	options := c.options(&cfg)
	for _, apply := range cfg.secrets() {
		if err := apply(&options); err != nil {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "natslink.dial", Text: "the files for NATS cannot be used", Err: err}
		}
	}
	nc, err := options.Connect()
	if err != nil {
		return nil, explain(err, cfg.URLs)
	}
	if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
		nc.Close()
		return nil, err
	}
	c.nc = nc
	if cfg.InProcess == nil {
		c.log.Info("connected to NATS", "server", nc.ConnectedUrlRedacted(), "version", nc.ConnectedServerVersion())
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(c.reconnects, c.slow, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roomtide_nats_connected", Help: "1 while a NATS server answers, else 0.",
		}, c.connected))
	}
	return c, nil
}

// NATS returns the connection as NATS knows it.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// OnReconnect makes f run each time the connection has been made again, behind the
// subscriptions. Messages of the time between are lost. Functions run one after the
// other, in the order of registration, and hold up the reports of NATS while they do.
func (c *Conn) OnReconnect(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onReconnect = append(c.onReconnect, f)
}

// Missed runs what OnReconnect has been given: messages are lost although the connection
// was not, because the server behind it was cut off from others.
func (c *Conn) Missed() {
	c.missing.Lock()
	defer c.missing.Unlock()
	c.mu.Lock()
	run := c.onReconnect[:len(c.onReconnect):len(c.onReconnect)]
	c.mu.Unlock()
	for _, f := range run {
		f()
	}
}

// Close ends the connection and every subscription on it.
func (c *Conn) Close() { c.nc.Close() }

// Away is for how long no server has answered, 0 if one does.
func (c *Conn) Away() time.Duration {
	if c.nc.IsConnected() {
		return 0
	}
	if lost := c.lost.Load(); lost != 0 {
		return time.Since(time.Unix(0, lost))
	}
	return 0 // just now: it is told in a moment
}

func (c *Conn) connected() float64 {
	if c.nc.IsConnected() {
		return 1
	}
	return 0
}

func (c *Conn) options(cfg *Config) nats.Options {
	o := nats.GetDefaultOptions()
	o.Servers, o.NoRandomize = cfg.URLs, true
	o.Name, o.InProcessServer = "roomtide "+cfg.Node, cfg.InProcess
	if o.Timeout = cfg.Timeout; o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	o.MaxReconnect, o.ReconnectWait = -1, reconnectWait
	o.ReconnectJitter, o.ReconnectJitterTLS = reconnectJitter, reconnectJitter
	o.IgnoreAuthErrorAbort = true // a server that is being given other passwords is no reason to end
	o.PingInterval, o.MaxPingsOut = pingInterval, pingsUnheard
	o.FlusherTimeout = writeDeadline
	o.ReconnectBufSize = reconnectBuffer
	o.DisconnectedErrCB = c.disconnected
	o.ReconnectedCB = c.reconnected
	o.AsyncErrorCB = c.failed
	o.NoCallbacksAfterClientClose = true
	return o
}

func (cfg *Config) secrets() (options []nats.Option) {
	if cfg.User != "" {
		options = append(options, nats.UserInfo(cfg.User, cfg.Password))
	}
	if cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(cfg.Credentials))
	}
	if cfg.TLSCA != "" {
		options = append(options, nats.RootCAs(cfg.TLSCA))
	}
	if cfg.TLSCert != "" {
		options = append(options, nats.ClientCert(cfg.TLSCert, cfg.TLSKey))
	}
	return options
}

func (c *Conn) disconnected(_ *nats.Conn, err error) {
	c.lost.CompareAndSwap(0, time.Now().UnixNano())
	c.log.Warn("the connection to NATS is lost; clients of this node get what is committed here, and the rest when it is back", "err", err)
}

func (c *Conn) reconnected(nc *nats.Conn) {
	c.lost.Store(0)
	c.reconnects.Inc()
	c.log.Info("connected to NATS again", "server", nc.ConnectedUrlRedacted())
	if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
		c.log.Error("this NATS server is not one to rely on", "err", err)
	}
	c.Missed()
}

// failed reports what NATS says outside of any call.
func (c *Conn) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	attrs := []any{"err", err}
	if sub != nil {
		dropped, _ := sub.Dropped() // an ended subscription has none
		attrs = append(attrs, "subject", sub.Subject, "lost", dropped)
	}
	if isSlow(err) {
		c.slow.Inc()
		c.log.Warn("messages of NATS came faster than they were taken, and some are lost", attrs...)
		return
	}
	c.log.Error("NATS reports an error", attrs...)
}
