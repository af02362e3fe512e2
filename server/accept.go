package server

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/limit"
)

const (
	// acceptRate is how many handshakes a second a node does for each processor,
	// unless configured.
	acceptRate  = 450
	acceptBurst = 50

	// A network may open a quarter of that rate as TCP connections, and at once what
	// the node does in a second, but at least idlePerNetwork.
	acceptShare = 4

	// Connections on which no request is being answered: they have not sent one yet,
	// or wait for the next. Beyond these numbers the oldest is closed, which costs an
	// HTTP client nothing but a new connection.
	idleConns      = 16 << 10
	idlePerNetwork = 512

	// filesReserved is how many descriptors are kept for databases and the rest.
	filesReserved = 256
)

// handshakeRate returns how many handshakes a second the node does; 0 is the default.
func handshakeRate(perSecond int) int {
	if perSecond == 0 {
		perSecond = acceptRate * runtime.GOMAXPROCS(0)
	}
	return perSecond
}

// doorConfig is how a door is made.
type doorConfig struct {
	Proxies    clientaddr.Proxies
	Max        int        // connections of HTTP at once
	PerNetwork int        // of one network
	PerSecond  int        // handshakes of the node; see acceptShare
	Files      int        // descriptors of the process; 0: unknown
	Others     func() int // connections that are no longer HTTP's, and hold a descriptor each
	Idle       *idle      // nil: idleConns and idlePerNetwork
	Registerer prometheus.Registerer
}

// idle are the bounds of connections without a request.
type idle struct{ max, perNetwork int }

// door is a listener that closes at once what is too much: too many new connections of
// one network, too many at the same time, or more than the process has descriptors
// for. It never waits, so a flood from one network does not hold up the others, and a
// connection that was reset meanwhile costs its accept and no more. What is expensive
// about a new client is paced where the client is known: see handshakes.
//
// A connection counts here until HTTP is done with it: until it is closed, or has
// become a WebSocket, which connlimit.Limiter counts.
type door struct {
	net.Listener

	// Set once.
	cfg     doorConfig
	conns   *connlimit.Limiter
	idle    *connlimit.Pending
	rates   *limit.Rates[netip.Prefix]
	refused *prometheus.CounterVec // by reason

	// Guarded by mu.
	mu   sync.Mutex
	open map[net.Conn]*visitor
}

// visitor is one accepted connection. Guarded by the door's mu.
type visitor struct {
	from  netip.Prefix
	place *connlimit.Place // while it is idle
}

func newDoor(ln net.Listener, c doorConfig) *door {
	if c.Idle == nil {
		c.Idle = &idle{idleConns, idlePerNetwork}
	}
	d := &door{
		Listener: ln, cfg: c, open: map[net.Conn]*visitor{},
		conns: connlimit.New(c.Max, c.PerNetwork), idle: connlimit.NewPending(c.Idle.max, c.Idle.perNetwork),
		rates: limit.NewRates[netip.Prefix](limit.RatesConfig{
			PerSecond: float64(max(1, c.PerSecond/acceptShare)), Burst: max(idlePerNetwork, c.PerSecond),
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roomtide_accept_refused_total", Help: "TCP connections closed as soon as they came, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"rate", "files", "full", "per_ip"} {
		d.refused.WithLabelValues(reason) // is there before the first
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(d.refused,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "roomtide_accept_connections", Help: "TCP connections that speak HTTP now.",
			}, func() float64 { return float64(d.conns.InUse()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "roomtide_accept_evicted_total", Help: "Idle HTTP connections closed because there were too many.",
			}, func() float64 { return float64(d.idle.Evicted()) }))
	}
	return d
}

// Accept returns the next connection that is not too much.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := d.network(c)
		reason := d.admit(from)
		if reason == "" {
			d.mu.Lock()
			d.open[c] = &visitor{from: from}
			d.mu.Unlock()
			return c, nil
		}
		d.refused.WithLabelValues(reason).Inc()
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset leaves nothing behind in the system
		}
		c.Close()
	}
}

func (d *door) network(c net.Conn) netip.Prefix {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return d.cfg.Proxies.Network(tcp.AddrPort().Addr())
}

// admit takes a place, or returns why there is none.
func (d *door) admit(from netip.Prefix) (reason string) {
	if from.IsValid() && d.rates.Take(from) != nil {
		return "rate"
	}
	if d.cfg.Files > 0 && d.conns.InUse()+d.cfg.Others() >= d.cfg.Files-filesReserved {
		return "files"
	}
	reason, _ = d.conns.Acquire(from)
	return reason
}

// stateChanged follows what HTTP does with a connection (http.Server.ConnState).
func (d *door) stateChanged(c net.Conn, state http.ConnState) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	d.mu.Lock()
	v := d.open[c]
	if v == nil { // a listener of its own, in tests
		d.mu.Unlock()
		return
	}
	place := v.place
	v.place = nil
	if state == http.StateClosed || state == http.StateHijacked {
		delete(d.open, c)
		d.conns.Release(v.from)
	}
	d.mu.Unlock()
	if place != nil {
		place.Leave()
	}
	if state != http.StateNew && state != http.StateIdle {
		return
	}
	place = d.idle.Enter(v.from, func() { c.Close() })
	d.mu.Lock()
	defer d.mu.Unlock()
	v.place = place // calls for one connection do not overlap
}
