package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

const (
	helloEvery = 30 * time.Second
	helloWait  = time.Second // for answers
)

// HellosConfig is how Hellos are made. NATS, Prefix and Self are required.
type HellosConfig struct {
	NATS   *nats.Conn
	Prefix string       // of all subjects
	Self   Hello        // From, Serving, Time and Map are filled in
	Map    func() int64 // version of the slot map; nil: not told

	Every      time.Duration         // between two looks at the others, 30 s
	Now        func() time.Time      // nil: time.Now
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Hellos tells other nodes of this one, and knows what they tell of themselves. Safe for
// concurrent use.
type Hellos struct {
	// Set once.
	cfg  HellosConfig
	sub  *nats.Subscription
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	watching sync.WaitGroup

	mu sync.Mutex

	// Guarded by mu.
	serving bool
	peers   map[string]Peer // by name

	apart map[string]bool // whose clocks were warned of; owned by watch
}

// OpenHellos begins to answer other nodes that ask.
func OpenHellos(cfg HellosConfig) (h *Hellos, err error) {
	if cfg.Every <= 0 {
		cfg.Every = helloEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Self.From = rand.Uint64()
	h = &Hellos{cfg: cfg, peers: map[string]Peer{}, apart: map[string]bool{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	if h.sub, err = cfg.NATS.Subscribe(h.subject(), h.answer); err != nil {
		h.stop()
		return nil, chat.Wrap(chat.Unavailable, "cluster.hello", err)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "roomtide_cluster_clock_difference_seconds", Help: "By how much the clock of this node differs at most from that of another node.",
		}, h.difference))
	}
	return h, nil
}

func (h *Hellos) subject() string { return h.cfg.Prefix + ".hello" }

// self is what this node tells now.
func (h *Hellos) self() Hello {
	h.mu.Lock()
	defer h.mu.Unlock()
	self := h.cfg.Self
	self.Serving, self.Time = h.serving, h.cfg.Now().UnixMicro()
	if h.cfg.Map != nil {
		self.Map = h.cfg.Map()
	}
	return self
}

// answer answers the hello of another node with this one's.
func (h *Hellos) answer(m *nats.Msg) {
	var got Hello
	if err := json.Unmarshal(m.Data, &got); err != nil {
		h.cfg.Log.Warn("the hello of another node cannot be read", "err", err)
		return
	}
	if got.From == h.cfg.Self.From {
		return
	}
	switch {
	case got.Visitor:
	case got.Node == h.cfg.Self.Node:
		h.cfg.Log.Error("another node has started under the name of this one", "node", got.Node)
	default:
		h.note(Peer{Hello: got})
	}
	if h.cfg.Self.Visitor {
		return
	}
	data, err := json.Marshal(h.self())
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		h.cfg.Log.Debug("another node is not answered", "subject", m.Subject, "err", err)
	}
}

// note keeps what was heard of a peer.
func (h *Hellos) note(p Peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.peers[p.Node]; p.Trip == 0 { // a look tells of the clock, a hello does not
		p.Ahead, p.Trip = was.Ahead, was.Trip
	}
	p.heard = time.Now()
	h.peers[p.Node] = p
}

// Ask asks all nodes what they are. It waits for least, and for most until each of the
// named has answered.
func (h *Hellos) Ask(ctx context.Context, least, most time.Duration, named []string) ([]Peer, error) {
	self := h.self()
	data, err := json.Marshal(self)
	if err != nil {
		return nil, chat.Wrap(chat.Internal, "cluster.hello", err)
	}
	inbox := h.cfg.NATS.NewRespInbox()
	sub, err := h.cfg.NATS.SubscribeSync(inbox)
	begin, clock := time.Now(), h.cfg.Now()
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }() // fails only if the connection has ended
		err = h.cfg.NATS.PublishRequest(h.subject(), inbox, data)
	}
	if err != nil {
		return nil, chat.Wrap(chat.Unavailable, "cluster.hello", err)
	}
	missing := slices.DeleteFunc(slices.Clone(named), func(name string) bool { return name == self.Node })
	var peers []Peer
	for {
		left := most
		if len(missing) == 0 {
			left = least
		}
		m, err := h.next(ctx, sub, left-time.Since(begin))
		if err != nil {
			return peers, ctx.Err()
		}
		p := Peer{Trip: time.Since(begin)}
		if err := json.Unmarshal(m.Data, &p.Hello); err != nil {
			h.cfg.Log.Warn("the hello of another node cannot be read", "err", err)
			continue
		}
		p.Ahead = time.UnixMicro(p.Time).Sub(clock.Add(p.Trip / 2))
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == p.Node })
		peers = append(peers, p)
		if p.Node != self.Node {
			h.note(p)
		}
	}
}

// next waits for a message.
func (h *Hellos) next(ctx context.Context, sub *nats.Subscription, limit time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// Admit returns why this node may not start beside those that it has met (Admit).
func (h *Hellos) Admit(peers []Peer) error {
	self := h.self()
	return Admit(&self, peers)
}

// Lowest is the lowest level of this node and the peers.
func (h *Hellos) Lowest(peers []Peer) int { return lowest(&h.cfg.Self, peers) }

// Serve says that this node has passed its checks, and begins to look at the clocks of the
// others now and then.
func (h *Hellos) Serve() {
	h.mu.Lock()
	h.serving = true
	h.mu.Unlock()
	h.watching.Go(h.watch)
}

func (h *Hellos) watch() {
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for {
		peers, err := h.Ask(h.ctx, helloWait, helloWait, nil)
		if h.ctx.Err() != nil {
			return
		}
		if err != nil {
			h.cfg.Log.Debug("other nodes are not asked what they are", "err", err)
		}
		for i := range peers {
			if p := &peers[i]; p.Node != h.cfg.Self.Node {
				h.judgeClock(p)
			} else if p.Serving {
				h.cfg.Log.Error("another process that runs has the name of this node: stop one of the two", "node", p.Node)
			}
		}
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// judgeClock warns of a clock that is far from this one's, and once when it is not any more.
func (h *Hellos) judgeClock(p *Peer) {
	switch apart := p.Apart() > clockWarned; {
	case apart && !h.apart[p.Node]:
		h.cfg.Log.Warn(p.clock()+": let the machines of both take their time from the network; times of messages jump, and leases of nodes are misjudged", "node", p.Node)
		h.apart[p.Node] = true
	case !apart && h.apart[p.Node]:
		h.cfg.Log.Info("the clock of a node is right again", "node", p.Node)
		delete(h.apart, p.Node)
	}
}

// Known returns the other nodes that were heard within two looks, by name.
func (h *Hellos) Known() []Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var peers []Peer
	for name, p := range h.peers {
		if time.Since(p.heard) > 2*(h.cfg.Every+helloWait) {
			delete(h.peers, name)
			continue
		}
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.Node, b.Node) })
	return peers
}

// difference is the largest one of a clock, in seconds.
func (h *Hellos) difference() float64 {
	largest := time.Duration(0)
	for _, p := range h.Known() {
		largest = max(largest, p.Apart())
	}
	return largest.Seconds()
}

// Close ends the answers. It may be called for nil.
func (h *Hellos) Close() {
	if h == nil {
		return
	}
	h.stop()
	h.watching.Wait()
	if err := h.sub.Unsubscribe(); err != nil {
		h.cfg.Log.Debug("what this node tells others", "err", err)
	}
}
