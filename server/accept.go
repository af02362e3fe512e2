package server

import (
	"crypto/tls"
	"errors"
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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

	// A network may open in acceptWindow seconds as many TCP connections as the node
	// does handshakes in one, but at least idlePerNetwork.
	acceptWindow = 4

	// readyConns is how many connections may wait for HTTP to take them, which it does
	// at once.
	readyConns = 1024

	// Connections on which no request is being answered: they have not sent one yet,
	// or wait for the next. Beyond these numbers the oldest is closed, which costs an
	// HTTP client nothing but a new connection.
	idleConns      = 16 << 10
	idlePerNetwork = 512

	// acceptPause is the wait after an accept that failed for lack of something.
	acceptPause = 10 * time.Millisecond

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
	PerSecond  int        // handshakes of the node; see acceptWindow
	Files      int        // descriptors of the process; 0: unknown
	Others     func() int // connections that are no longer HTTP's, and hold a descriptor each
	Idle       *idle      // nil: idleConns and idlePerNetwork
	Greeting   *greeting  // looks at the first bytes; nil: nothing does
	Registerer prometheus.Registerer
}

// idle are the bounds of connections without a request.
type idle struct{ max, perNetwork int }

// door is a listener that closes at once what is too much: too many new connections of
// one network, too many at the same time, or more than the process has descriptors
// for. The others wait for their turn, in turn between networks, so that a flood from
// one does not hold up another; each holds a descriptor meanwhile, and no goroutine.
// Trusted proxies and this machine do not wait. What is expensive about a new client is
// paced again where the client is known: see paced.
//
// A connection counts here until HTTP is done with it: until it is closed, or has
// become a WebSocket, which connlimit.Limiter counts.
type door struct {
	net.Listener

	// Set once.
	cfg     doorConfig
	conns   *connlimit.Limiter
	idle    *connlimit.Pending
	shares  *shares
	pace    *limit.Pace[netip.Prefix]
	ready   chan net.Conn          // whose turn has come
	ended   chan struct{}          // closed by listen
	err     error                  // of the listener; set before ended is closed
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
		shares: newShares(max(idlePerNetwork, c.PerSecond)),
		pace: limit.NewPace[netip.Prefix](limit.PaceConfig{
			Name: "accepts", PerSecond: 1.25 * float64(c.PerSecond), Burst: acceptBurst, Registerer: c.Registerer,
		}),
		ready: make(chan net.Conn, readyConns), ended: make(chan struct{}),
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
	go d.listen() // ends with the listener
	return d
}

// Accept returns the next connection whose turn has come.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ready:
		return d.cfg.Greeting.watch(c), nil
	case <-d.ended:
		return nil, d.err
	}
}

// passing are the errors of an accept after which the next may succeed.
var passing = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}

// listen accepts until the listener is closed. What waits then is closed when its turn
// comes, or by HTTP.
func (d *door) listen() {
	defer close(d.ended)
	for {
		c, err := d.Listener.Accept()
		switch {
		case slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) }):
			time.Sleep(acceptPause)
			continue
		case err != nil:
			d.err = err
			return
		}
		d.receive(c)
	}
}

// receive lets a connection wait for its turn, or refuses it.
func (d *door) receive(c net.Conn) {
	from := d.network(c)
	reason := d.admit(from)
	if reason != "" {
		d.refuse(c, reason)
		return
	}
	d.mu.Lock()
	d.open[c] = &visitor{from: from}
	d.mu.Unlock()
	pass := func() {
		select {
		case <-d.ended:
			d.stateChanged(c, http.StateClosed)
			c.Close()
		case d.ready <- c:
		default:
			d.stateChanged(c, http.StateClosed)
			d.refuse(c, "full")
		}
	}
	if !from.IsValid() {
		pass()
	} else if d.pace.Queue(from, pass) != nil {
		d.stateChanged(c, http.StateClosed)
		d.refuse(c, "full")
	}
}

func (d *door) refuse(c net.Conn, reason string) {
	d.refused.WithLabelValues(reason).Inc()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset leaves nothing behind in the system
	}
	c.Close()
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
	if from.IsValid() && !d.shares.take(from, time.Now()) {
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
	c = underlying(c)
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

// shares counts the connections of networks in a window of time. It has a fixed size,
// since every client's address comes by here: two networks in the same slot share it,
// which matters only while one of them floods, to one network in thirty thousand.
type shares struct {
	seed  maphash.Seed
	most  uint32
	slots [1 << 15]atomic.Uint64 // the number of the window, and how many came in it
}

func newShares(most int) *shares {
	return &shares{seed: maphash.MakeSeed(), most: uint32(min(most, 1<<31))}
}

// take counts a connection and reports whether the network has not used its share.
func (s *shares) take(from netip.Prefix, now time.Time) bool {
	window := uint32(now.Unix() / acceptWindow)
	slot := &s.slots[maphash.Comparable(s.seed, from)%uint64(len(s.slots))]
	for {
		old := slot.Load()
		n := uint32(old)
		if uint32(old>>32) != window {
			n = 0
		}
		if n >= s.most {
			return false
		}
		if slot.CompareAndSwap(old, uint64(window)<<32|uint64(n+1)) {
			return true
		}
	}
}
