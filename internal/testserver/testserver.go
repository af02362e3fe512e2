// Package testserver builds a node without transports, for the tests of transports:
// real databases, lanes, bus, hub, presence and engine, in a directory of the test.
package testserver

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/bus/membus"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/hub"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/onward"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
	"github.com/roomtide/roomtide/projection"
	"github.com/roomtide/roomtide/removal"
	"github.com/roomtide/roomtide/session"
)

// Config is what differs between tests. Zero values mean the defaults.
type Config struct {
	Identity  identity.Config
	Limits    chat.Limits
	Shards    int // 1
	Bus       bus.Bus
	LateAfter time.Duration   // hub.Config
	HostRooms bool            // only back ends create rooms
	Joins     engine.Rate     // of one user; zero: no limit
	Presence  bool            // presence events are published, by the real clock
	Driver    presence.Driver // of presence; nil: that of a single node
	Targets   engine.Targets  // of devices; nil: there is no push
	Queue     *Queue          // a durable queue before the lanes; nil: none
}

// Open returns what a transport needs, and closes it when the test ends.
func Open(t testing.TB, cfg Config) (*session.Deps, *hub.Hub) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if cfg.Bus == nil {
		cfg.Bus = membus.New()
	}
	if cfg.Limits == (chat.Limits{}) {
		cfg.Limits = chat.DefaultLimits()
	}
	st := teststore.Open(t, t.TempDir(), max(cfg.Shards, 1), nil)
	laneOf := func(room chat.RoomID) bus.Lane { return bus.Lane(st.ShardOf(room.Slot())) }
	publish := func(ev *chat.Event) { _ = cfg.Bus.Publish(bus.Ephemeral(laneOf(ev.Room), ev)) } // fails when the bus is closed
	if cfg.Driver == nil {
		cfg.Driver = mempresence.New()
	}
	pc := presence.Config{Driver: cfg.Driver}
	if cfg.Presence {
		pc.Publish = publish
	}
	tracker := presence.New(pc)
	h := hub.New(hub.Config{Bus: cfg.Bus, Lane: laneOf, LateAfter: cfg.LateAfter, Presence: tracker})
	lc := lane.Config{Store: st, Publish: cfg.Bus.Publish, AfterBatch: h.Kick, Limits: cfg.Limits}
	if cfg.Queue != nil {
		lc.Cluster = cfg.Queue.cluster()
	}
	lanes, err := lane.Open(t.Context(), lc)
	if err != nil {
		t.Fatal(err)
	}
	box, err := outbox.Open(t.Context(), outbox.Config{Store: st, Lanes: lanes, Stopped: cfg.Queue != nil, Consumers: []outbox.Consumer{
		projection.UserRooms(st, lanes), projection.Names(st, lanes), removal.DeletedRooms(lanes), onward.Changes(st, lanes),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Queue != nil {
		cfg.Queue.lanes, cfg.Queue.outbox = lanes, box
		cfg.Queue.begin(t, max(cfg.Shards, 1))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		tracker.Close()
		box.Close(ctx)
		lanes.Close()
		h.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	eng := engine.New(engine.Config{
		Targets: cfg.Targets,
		Store:   st, Lanes: lanes, Presence: tracker, Publish: publish, Limits: cfg.Limits, UsersMakeRooms: !cfg.HostRooms,
		Claimed: func(user chat.UserID) { h.CloseGuests(user, chat.ByeRevoked) },
		Rates:   engine.Rates{Join: cfg.Joins},
		Reach:   func(_ context.Context, users []chat.UserID) ([]chat.Reach, bool) { return h.Reach(users), true },
	})
	if cfg.Identity.Users == nil {
		cfg.Identity.Users = eng
	}
	verifier, err := identity.New(cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return &session.Deps{
		Engine:   eng,
		Verifier: verifier, Guests: cfg.Identity.Guests, Limits: &cfg.Limits, Now: time.Now, Log: log,
	}, h
}

// Log collects log output of several goroutines for a test to read.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
