package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/natsbus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/connlimit"
	"github.com/roomtide/roomtide/internal/embednats"
	"github.com/roomtide/roomtide/internal/natslink"
	"github.com/roomtide/roomtide/internal/natsstream"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/queue"
	"github.com/roomtide/roomtide/queue/jetstream"
	"github.com/roomtide/roomtide/relay"
	"github.com/roomtide/roomtide/sioapi"
)

const (
	peerLife   = 6 * time.Second // of a node's lease, where several nodes share the lanes
	startLimit = time.Second     // for the consumers of a shard to begin; the lease is not renewed meanwhile
)

// peers is what a node of a cluster has beside a single one; nil for that one.
type peers struct {
	// Set once.
	s       *Server
	link    *natslink.Conn
	own     *embednats.Server // the NATS server of this process; nil: others are used
	queue   *jetstream.Queue  // nil: none
	relay   *relay.Relay
	streams *natsstream.Mesh
	away    *cluster.Away  // from openAway on
	reach   *cluster.Reach // from startPeers on
	prefix  string         // of all subjects
	routed  atomic.Int64   // version of the slot map by which the hub has looked at its lanes
	hellos  *cluster.Hellos
	notices *cluster.Notices // from startPeers on
	usage   *cluster.Usage   // from shareLimits on
}

// openPeers connects to NATS, if the node is one of several.
func (s *Server) openPeers(ctx context.Context) (err error) {
	if !s.cfg.Cluster() {
		return s.raiseLevel(ctx, cluster.Level)
	}
	p := &peers{s: s}
	if err := p.openLink(); err != nil {
		return err
	}
	deployment, err := s.store.Control.Deployment(ctx)
	if err != nil {
		return err
	}
	p.prefix = "rt." + deployment
	if err := p.meet(ctx); err != nil {
		return err
	}
	s.bus = natsbus.New(p.link.NATS(), p.prefix, s.log, s.reg)
	if err := p.openQueue(ctx); err != nil {
		return err
	}
	p.relay, err = relay.New(relay.Config{
		NATS: p.link.NATS(), Prefix: p.prefix, Node: s.cfg.Node, Lanes: len(s.store.Shards()),
		Queue: p.waiting(), Overflow: time.Duration(s.cfg.Queue.After), Always: s.cfg.Queue.Mode == config.QueueAlways,
		Submit: p.offer, MapVersion: s.store.MapVersion, Moved: s.store.Moved, Stale: p.stale,
		AfterOutcomes: func() { s.hub.Kick() }, Place: func(c change.Change) map[int]change.Change { return s.lanes.Place(c) },
		Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
	if err != nil {
		return err
	}
	s.onClose(p.relay.Close)
	p.link.OnReconnect(p.relay.Reconnected)
	if p.streams, err = natsstream.Open(natsstream.Config{NATS: p.link.NATS(), Prefix: p.prefix, Log: s.log, Registerer: s.reg}); err != nil {
		return err
	}
	s.onClose(func() { p.streams.Close() })
	p.link.OnReconnect(p.streams.Reconnected)
	p.routed.Store(s.store.MapVersion())
	s.peers = p
	return nil
}

// openReach begins to answer which users are connected here.
func (p *peers) openReach() (err error) {
	p.reach, err = cluster.OpenReach(cluster.ReachConfig{
		NATS: p.link.NATS(), Prefix: p.prefix, Log: p.s.log,
		Nodes: func() int { return p.s.node.Alive() },
		Here:  func(users []chat.UserID) []chat.Reach { return p.s.hub.Reach(users) },
	})
	if err == nil {
		p.s.onClose(p.reach.Close)
	}
	return err
}

// startPeers takes part in the cluster, when everything is there that other nodes ask for.
func (s *Server) startPeers() (err error) {
	p := s.peers
	if p == nil {
		return nil
	}
	if p.notices, err = cluster.OpenNotices(p.link.NATS(), p.prefix, s.cfg.Node, p.heard, s.log); err != nil {
		return err
	}
	s.onClose(p.notices.Close)
	s.mover.Look() // what was ordered before notices came
	p.link.OnReconnect(func() {
		s.engine.ForgetUsers()
		s.mover.Look()
		p.notices.Reconnected()
	})
	if p.own != nil && p.own.Twin() { // the notices of two servers of one name do not reach each other
		return cluster.NameTaken(s.cfg.Node)
	}
	if err := p.openReach(); err != nil {
		return err
	}
	p.hellos.Serve()
	s.lanes.Begin()
	return nil
}

// openQueue opens the durable queue, if there is to be one.
func (p *peers) openQueue(ctx context.Context) (err error) {
	if p.s.cfg.Queue.Mode == config.QueueOff {
		return nil
	}
	p.queue, err = jetstream.Open(ctx, p.queueConfig())
	if err == nil {
		p.s.onClose(p.queue.Close)
	}
	return err
}

// queueConfig is how the durable queue is made.
func (p *peers) queueConfig() jetstream.Config {
	s, q := p.s, p.s.cfg.Queue
	cfg := jetstream.Config{
		NATS: p.link.NATS(), Prefix: p.prefix, Lanes: len(s.store.Shards()), Replicas: q.Replicas, MaxBytes: int64(q.MiB) << 20,
		RequireDurable: s.cfg.RequireDurable, Log: s.log, Registerer: s.reg,
	}
	p.ownQueue(&cfg)
	return cfg
}

// waiting is the queue for the relay; nil: none.
func (p *peers) waiting() queue.Queue {
	if p.queue == nil {
		return nil
	}
	return p.queue
}

// laneCluster is how lanes are owned; nil on a single node.
func (s *Server) laneCluster() *lane.Cluster {
	p := s.peers
	if p == nil {
		return nil
	}
	return &lane.Cluster{
		Node: s.cfg.Node, Forward: p.relay.Forward, Owned: p.owned, Queue: p.queue != nil,
		Nodes:   func() int { return s.node.Working() },
		Gone:    func(node string) { s.node.Gone(node) },
		Leaving: p.relay.LeaveQueue,
		Left:    func(shard int) { p.notices.Send(cluster.Notice{Kind: cluster.NoticeLane, Shard: shard}) },
		Want:    func(shard int) { p.notices.Send(cluster.Notice{Kind: cluster.NoticeWant, Shard: shard}) },
	}
}

// offer hands a change of a node, of this one too, to the lane.
func (p *peers) offer(shard int, c change.Change, from change.Origin, done change.Done) relay.Taken {
	owned, here := p.s.lanes.Offer(shard, c, from, done)
	switch {
	case !owned:
		return relay.NotOwner
	case !here:
		return relay.OtherMap
	}
	return relay.Took
}

// owned starts what works where the lane is owned, and ends it.
func (p *peers) owned(shard int, from *change.Progress) error {
	if from == nil {
		p.s.outbox.Stop(shard)
		p.s.sender.Stop(shard)
		return p.relay.Own(shard, nil)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := p.s.outbox.Start(ctx, shard); err != nil {
		return err
	}
	p.s.sender.Start(shard)
	p.s.mover.Look()                // the former owner may have worked on a move
	return p.relay.Own(shard, from) // last: what it takes is not taken twice
}

// heard acts on what another node says.
func (p *peers) heard(n cluster.Notice) {
	switch n.Kind {
	case cluster.NoticeLane:
		p.s.lanes.Try(n.Shard)
	case cluster.NoticeLeft:
		p.s.node.Gone(n.Node)
	case cluster.NoticeWant:
		p.s.lanes.Cede(n.Shard)
	case cluster.NoticeMoves:
		p.s.mover.Look()
	case cluster.NoticeUser:
		p.s.engine.ForgetUser(n.User)
	case cluster.NoticeClaim:
		p.s.engine.ForgetUser(n.User)
		p.s.endGuests(n.User)
	case cluster.NoticeRevoke:
		g := chat.ByeRevoked
		if n.Late { // it may have come back since, with what is good: it comes again, and is judged
			g = chat.ByeDraining
		}
		p.s.engine.ForgetUser(n.User)
		p.s.hub.CloseUser(n.User, g)
	}
}

// leave hands the lanes of a node that stops to others.
func (s *Server) leave(ctx context.Context) {
	if s.peers == nil {
		return
	}
	s.node.Close()
	if err := s.node.Leave(ctx); err != nil {
		s.log.Warn("other nodes learn late that this one has stopped", "err", err)
	}
	s.peers.notices.Send(cluster.Notice{Kind: cluster.NoticeLeft})
	s.lanes.Leave()
}

// heard is what brings the room cache forward; nil on a single node, whose cache stays empty.
func (s *Server) heard() bus.Handler {
	if s.peers == nil {
		return nil
	}
	return s.rooms.Heard
}

// nodeLife is how long this node's lease lasts; 0: the default.
func (s *Server) nodeLife() time.Duration {
	if s.peers == nil {
		return 0
	}
	return peerLife
}

// userChanged tells other nodes to forget what they remember of a user, and to end the
// connections of guests under a name that was claimed.
func (s *Server) userChanged(user chat.UserID, claimed bool) {
	if s.peers == nil {
		return
	}
	kind := cluster.NoticeUser
	if claimed {
		kind = cluster.NoticeClaim
	}
	s.peers.notices.Send(cluster.Notice{Kind: kind, User: user})
}

// revoke ends a user's connections on all nodes. It counts those of this one.
func (s *Server) revoke(_ context.Context, user chat.UserID) (int, error) {
	if s.peers != nil {
		s.peers.notices.Send(cluster.Notice{Kind: cluster.NoticeRevoke, User: user})
	}
	return s.hub.CloseUser(user, chat.ByeRevoked), nil
}

// shareSessions lets Socket.IO sessions be served, and resumed, on every node.
func (s *Server) shareSessions(cfg *sioapi.Config) {
	if p := s.peers; p != nil {
		cfg.Nodes = p.streams
		cfg.Ask = func(ctx context.Context, pid string) []byte { return p.away.Ask(ctx, pid) }
		cfg.HandOver = func(sessions []byte) bool { return p.away.HandOver(sessions) }
	}
}

// shareLimits holds clients to limits over all nodes.
func (s *Server) shareLimits(conns *connlimit.Limiter) (err error) {
	p := s.peers
	if p == nil {
		return nil
	}
	p.usage, err = cluster.OpenUsage(cluster.UsageConfig{
		NATS: p.link.NATS(), Prefix: p.prefix, Node: s.cfg.Node,
		Spent: s.engine.Spent, Charge: s.engine.Charge, Conns: conns.Tell, Hear: conns.Hear,
		Log: s.log, Registerer: s.reg,
	})
	s.onClose(func() { p.usage.Close() })
	return err
}

// openAway begins to exchange sessions that can be resumed with other nodes.
func (s *Server) openAway() (err error) {
	p := s.peers
	if p == nil {
		return nil
	}
	p.away, err = cluster.OpenAway(cluster.AwayConfig{
		NATS: p.link.NATS(), Prefix: p.prefix, Nodes: s.node.Alive, Give: s.socketIO.Give, Keep: s.socketIO.TakeOver, Log: s.log,
	})
	s.onClose(func() { p.away.Close() })
	return err
}
