// Package server builds a node out of its parts and takes it down again: Open
// makes everything, bottom floor first, and Close undoes it in reverse.
package server

import (
	"context"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/roomtide/roomtide/attendance"
	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/cluster"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/feed"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/ingest"
	"github.com/roomtide/roomtide/internal/memtune"
	"github.com/roomtide/roomtide/internal/planted"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/notify"
	"github.com/roomtide/roomtide/onward"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
	"github.com/roomtide/roomtide/presence/redispresence"
	"github.com/roomtide/roomtide/presence/storepresence"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/roomcache"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/sioapi"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/webhook"
	"github.com/roomtide/roomtide/wsapi"
)

// Server is one running node.
type Server struct {
	// Set by Open.
	version  string
	cfg      *config.Config
	log      *slog.Logger
	reg      *prometheus.Registry
	store    *store.Store
	bus      bus.Bus
	rooms    *roomcache.Cache
	hub      *hub.Hub
	lanes    *lane.Lanes
	outbox   *outbox.Outbox
	feeds    *feed.Feeds
	webhooks *webhook.Service
	before   *webhook.Hook // nil: messages are not asked about
	mover    *mover.Mover
	node     *cluster.Node
	peers    *peers // nil on a single node
	presence *presence.Tracker
	book     *attendance.Book // who is connected anywhere, for webhooks and feeds
	engine   *engine.Engine
	readers  []*ingest.Reader
	verifier *identity.Verifier
	gateway  *push.Gateway
	sender   *notify.Sender
	vapid    string // public half of the key of Web Push; "": it is not used
	secret   []byte // signs what only this node reads
	online   *storepresence.Record
	listener net.Listener
	sockets  *wsapi.Handler
	socketIO *sioapi.Handler
	http     *http.Server
	metrics  string // where only the metrics are served, "" unless configured

	draining atomic.Bool
	failed   chan error // holds the first reason the node cannot go on
	undo     []func()   // what Close does, last first
	closing  sync.Once
}

// Open builds a node from a checked configuration and listens. Nothing is
// answered before Run. version is that of the program.
func Open(ctx context.Context, cfg *config.Config, version string, log *slog.Logger) (_ *Server, err error) {
	s := &Server{version: version, cfg: cfg, log: log, reg: prometheus.NewRegistry(), failed: make(chan error, 1)}
	s.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// The port first: a second start with the same settings fails here, with
	// the clearest message, before it touches anything.
	if s.listener, err = listen(cfg.Listen); err != nil {
		return nil, &chat.Error{Kind: chat.Unavailable, Op: "server.listen", Err: err,
			Text: "cannot listen on " + cfg.Listen + ": is another server running there? choose another address with --listen"}
	}
	s.onClose(func() { s.listener.Close() })
	if s.secret, err = Secret(s.cfg, true); err != nil {
		return nil, err
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if err := s.openGateway(); err != nil {
		return nil, err
	}
	if err := s.openRoad(ctx); err != nil {
		return nil, err
	}
	if err := s.openIdentity(); err != nil {
		return nil, err
	}
	if err := s.openHTTP(); err != nil {
		return nil, err
	}
	return s, s.openIngest()
}

// logAdapter takes what net/http has to say: mostly peers that broke off.
func logAdapter(log *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(log.Handler(), slog.LevelDebug)
}

func (s *Server) onClose(f func()) { s.undo = append(s.undo, f) }

// openRoad builds what a message passes on its way: lanes, bus, hub.
func (s *Server) openRoad(ctx context.Context) (err error) {
	limits := s.cfg.ChatLimits()
	if err := s.openPeers(ctx); err != nil {
		return err
	}
	if s.bus == nil {
		s.bus = membus.New()
	}
	s.onClose(func() { s.bus.Close() })
	s.rooms = roomcache.New(roomcache.Config{Store: s.store, Registerer: s.reg})
	s.hub = hub.New(hub.Config{
		Bus: s.bus, Lane: s.laneOf, Log: s.log, Registerer: s.reg,
		Heard: s.heard(), Presence: online{s},
	})
	s.onClose(s.hub.Close)

	s.lanes, err = lane.Open(ctx, lane.Config{
		Store: s.store, Publish: s.bus.Publish, AfterBatch: s.hub.Kick,
		OnFenced: func(shard int) {
			s.fail(chat.E(chat.Fenced, "another process has taken over this node's data"))
		},
		Cluster: s.laneCluster(), PushOff: !s.cfg.Push.Used(), Providers: s.gateway.Providers(), Limits: limits, Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
	if err != nil {
		return err
	}
	s.onClose(s.lanes.Close)
	s.reg.MustRegister(shardsUp{s})
	if err := s.openWebhooks(ctx); err != nil {
		return err
	}
	if err := s.openOutbox(ctx); err != nil {
		return err
	}
	s.startWebhooks()
	if err := s.openPresence(); err != nil {
		return err
	}
	if err := s.openMover(ctx); err != nil {
		return err
	}
	s.openSender()
	s.onClose(memtune.Start(s.hub.Len))
	s.openEngine(limits)
	s.startSender()
	if err := s.startPeers(); err != nil {
		return err
	}
	s.openAttendance()
	return nil
}

// openEngine makes the engine, which has nothing to close.
func (s *Server) openEngine(limits chat.Limits) {
	rates := engine.Rates{}
	if !s.cfg.NoRateLimits {
		rates = s.rates()
	}
	s.engine = engine.New(engine.Config{
		Store: s.store, Rooms: s.rooms, Lanes: s.lanes, Presence: s.presence, Publish: s.publish, BeforeMessage: s.beforeMessage(),
		Limits: limits, Rates: rates, Cluster: s.peers != nil, UsersMakeRooms: s.cfg.GuestsWelcome(), Claimed: s.endGuests, UserChanged: s.userChanged, Hears: s.hears,
		AfterLate: s.hub.Kick, Targets: s.targets(), Reach: s.reach,
		Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
}

// openOutbox starts everything that works on what lanes committed.
func (s *Server) openOutbox(ctx context.Context) (err error) {
	s.outbox, err = outbox.Open(ctx, outbox.Config{
		Store: s.store, Lanes: s.lanes, Log: s.log, Registerer: s.reg, Apart: []string{mover.Cursor, feed.Prefix}, Stopped: s.peers != nil, Fate: s.webhooks.Fate,
		Consumers: []outbox.Consumer{projection.UserRooms(s.store, s.lanes), projection.Names(s.store, s.lanes), removal.DeletedRooms(s.lanes),
			onward.Changes(s.store, s.lanes), s.pushJobs()},
	})
	if err != nil {
		return err
	}
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.cfg.DrainTimeout))
		defer cancel()
		s.outbox.Close(ctx)
	})
	return s.openFeeds(ctx)
}

// openFeeds lets back ends pull what lanes committed.
func (s *Server) openFeeds(ctx context.Context) error {
	deployment, err := s.store.Control.Deployment(ctx)
	if err != nil {
		return err
	}
	s.feeds = feed.Open(feed.Config{Store: s.store, Lanes: s.lanes, Events: hostevents.NewSource(s.store, deployment), Log: s.log})
	s.onClose(s.feeds.Close)
	return nil
}

// openMover goes on with slots that are moving.
func (s *Server) openMover(ctx context.Context) (err error) {
	s.mover, err = mover.Open(ctx, mover.Config{Store: s.store, Lanes: s.lanes, Hub: s.hub, Lag: s.outbox.Lag, Cluster: s.moverCluster(), Log: s.log, Registerer: s.reg})
	if err == nil {
		s.onClose(s.mover.Close)
	}
	return err
}

// online is presence for the hub, which is there before it.
type online struct{ s *Server }

func (o online) Enter(room chat.RoomID, user chat.UserID) { o.s.presence.Enter(room, user) }
func (o online) Leave(room chat.RoomID, user chat.UserID) { o.s.presence.Leave(room, user) }
func (o online) Remove(room chat.RoomID, user chat.UserID, conns int) {
	o.s.presence.Remove(room, user, conns)
}

// openPresence joins the cluster and begins to track who is online.
func (s *Server) openPresence() (err error) {
	s.node, err = cluster.Join(cluster.Config{Name: s.cfg.Node, Leases: s.store.Control, Life: s.nodeLife(), Now: planted.Now, Log: s.log, Registerer: s.reg})
	if err != nil {
		return err
	}
	s.onClose(s.node.Close)
	s.online = storepresence.New(storepresence.Config{
		Node: s.node.Name(), Nodes: s.node.Seen, Store: s.store, Submit: s.submitOnline,
		Log: s.log, Registerer: s.reg,
	})
	s.onClose(s.online.Close)
	driver, err := s.presenceDriver()
	if err != nil {
		return err
	}
	s.onClose(func() {
		if err := driver.Close(); err != nil {
			s.log.Warn("presence: the driver did not close", "err", err)
		}
	})
	s.presence = presence.New(presence.Config{
		Driver: driver, Record: s.online, Publish: s.publish, Part: func(room chat.RoomID) int { return int(s.laneOf(room)) },
		Log: s.log, Registerer: s.reg,
	})
	s.onClose(s.presence.Close)
	return nil
}

// openAttendance begins to record connected users, while a webhook or a feed asks for them.
func (s *Server) openAttendance() {
	wanted := func() bool { return s.webhooks.Attended() || s.feeds.Attended() }
	s.book = attendance.Open(attendance.Config{
		Node: s.node.Name(), Store: s.store, Users: s.hub.Users, Wanted: wanted, Grace: time.Duration(s.cfg.Hooks.OfflineAfter), Submit: s.lanes.Submit, Nodes: s.node.Nodes,
		Owns: s.lanes.Owns, Log: s.log, Registerer: s.reg,
	})
	s.onClose(s.book.Close)
}

// presenceDriver is Redis if one is configured, whether or not it answers now, else the
// store where nodes share it, else the node's own memory.
func (s *Server) presenceDriver() (presence.Driver, error) {
	url, err := s.cfg.RedisURL()
	switch {
	case err != nil:
		return nil, err
	case url == "" && s.peers != nil:
		return s.online.Driver(), nil // the store is what nodes share
	case url == "":
		return mempresence.New(), nil
	}
	return redispresence.New(redispresence.Config{
		URL: url, Prefix: s.cfg.RedisPrefix, Node: s.node.Name(), Nodes: s.node.Alive, Now: planted.Now, Log: s.log, Registerer: s.reg,
	})
}

// PingRedis asks the Redis that is configured for presence whether it lets this program
// in. It reports false if none is.
func PingRedis(ctx context.Context, cfg *config.Config) (bool, error) {
	url, err := cfg.RedisURL()
	if err != nil || url == "" {
		return url != "", err
	}
	return true, redispresence.Ping(ctx, url, cfg.RedisPrefix)
}

// submitOnline hands changes of who is online to the lane of their shard.
func (s *Server) submitOnline(shard int, changes []store.OnlineChange, done func(error)) {
	c := &change.Online{Changes: make([]change.OnlineChange, len(changes))}
	for i, o := range changes {
		c.Changes[i] = change.OnlineChange{Room: o.Room, User: o.User, Node: o.Node, On: o.On}
	}
	s.lanes.SubmitTo(shard, c, func(_ change.Reply, err error) { done(err) })
}

func (s *Server) rates() engine.Rates {
	r := s.cfg.Rates
	return engine.Rates{
		User:   engine.Rate{PerSecond: r.UserMessages, Burst: r.UserBurst},
		Room:   engine.Rate{PerSecond: r.RoomMessages, Burst: r.RoomBurst},
		Join:   engine.Rate{PerSecond: r.Joins, Burst: r.JoinBurst},
		Signal: engine.Rate{PerSecond: 10, Burst: 30},
		Read:   engine.Rate{PerSecond: r.ReadBytes, Burst: r.ReadBurst},

		GuestChange: engine.Rate{PerSecond: r.GuestMessages, Burst: r.GuestBurst},
		GuestJoin:   engine.Rate{PerSecond: r.GuestJoins, Burst: r.GuestJoinBurst},
		GuestRoom:   engine.Rate{PerSecond: r.GuestRooms, Burst: r.GuestRoomBurst},
	}
}

// laneOf returns the lane that orders a room: there is one for each shard. It changes
// when the slot of the room moves.
func (s *Server) laneOf(room chat.RoomID) bus.Lane { return bus.Lane(s.store.ShardOf(room.Slot())) }

// publish publishes one event that is not stored.
func (s *Server) publish(ev *chat.Event) {
	if err := s.bus.Publish(bus.Ephemeral(s.laneOf(ev.Room), ev)); err != nil {
		s.log.Debug("an event did not reach every node", "room", ev.Room, "err", err)
	}
}

func (s *Server) openIdentity() error {
	limits := s.cfg.ChatLimits()
	keys, err := authKeys(s.cfg.Auth.Keys)
	if err != nil {
		return err
	}
	s.verifier, err = identity.New(identity.Config{
		Guests: s.cfg.GuestsWelcome(), Anywhere: s.cfg.Guests == "on", Secret: s.secret, Keys: keys,
		JWKSURL: s.cfg.Auth.JWKSURL, Issuer: s.cfg.Auth.Issuer, Audience: s.cfg.Auth.Audience,
		Limits: &limits, APIKeys: s.apiKeys, Users: s.engine, Log: s.log, Registerer: s.reg,
	})
	return err
}

func (s *Server) apiKeys(ctx context.Context) ([]identity.Key, error) {
	stored, err := s.store.Control.Keys(ctx)
	keys := make([]identity.Key, len(stored))
	for i, k := range stored {
		keys[i] = identity.Key(k)
	}
	return keys, err
}

func (s *Server) sessionDeps() *session.Deps {
	return &session.Deps{
		Engine: s.engine, Verifier: s.verifier, Guests: s.cfg.GuestsWelcome(),
		Limits: s.engine.Limits(), Now: planted.Now, Log: s.log, WebPushKey: s.vapid,
	}
}
