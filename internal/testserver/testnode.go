// Package testserver is a node without transports, for the tests of these: real
// databases, lanes, bus, hub, presence and engine, in a directory of the test.
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
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/mempresence"
	"github.com/roomtide/roomtide/session"
	"github.com/roomtide/roomtide/store/sqlite"
)

// Config is what tests differ in. Zero values mean the defaults.
type Config struct {
	Identity  identity.Config
	Limits    chat.Limits
	Shards    int // 1
	Bus       bus.Bus
	LateAfter time.Duration // hub.Config
	HostRooms bool          // users make no rooms
	Joins     engine.Rate   // of one user; zero: no limit
	Presence  bool          // rooms are told who comes and goes, whenever the clock says
}

// Open returns all that is below a transport, and closes it when the test ends.
func Open(t testing.TB, cfg Config) (*session.Deps, *hub.Hub) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if cfg.Bus == nil {
		cfg.Bus = membus.New()
	}
	if cfg.Limits == (chat.Limits{}) {
		cfg.Limits = chat.DefaultLimits()
	}
	st, err := sqlite.OpenDir(t.Context(), t.TempDir(), max(cfg.Shards, 1), log)
	if err != nil {
		t.Fatal(err)
	}
	laneOf := func(room chat.RoomID) bus.Lane { return bus.Lane(st.ShardOf(room.Slot())) }
	h := hub.New(hub.Config{Bus: cfg.Bus, Lane: laneOf, LateAfter: cfg.LateAfter})
	lanes, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: cfg.Bus.Publish, AfterBatch: h.Kick, Limits: cfg.Limits})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(ev *chat.Event) { _ = cfg.Bus.Publish(bus.Ephemeral(laneOf(ev.Room), ev)) } // fails when the bus is closed
	who := presence.Config{Driver: mempresence.New(), Note: func([]presence.Change) {}}
	if cfg.Presence {
		who.Publish = publish
	}
	tracker := presence.New(who)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		tracker.Close()
		lanes.Close(ctx)
		h.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	verifier, err := identity.New(cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return &session.Deps{
		Engine: engine.New(engine.Config{
			Store: st, Lanes: lanes, Presence: tracker, Publish: publish, Limits: cfg.Limits, UsersMakeRooms: !cfg.HostRooms,
			Rates: engine.Rates{Join: cfg.Joins},
		}),
		Verifier: verifier, Presence: tracker, Guests: cfg.Identity.Guests, Limits: &cfg.Limits, Now: time.Now, Log: log,
	}, h
}

// Log is a log that many write to, and a test reads.
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
