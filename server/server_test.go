package server

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(floodEnv); addr != "" { // this is the other process of a benchmark
		flood(addr)
		return
	}
	goleak.VerifyTestMain(m)
}

func settings(t *testing.T) *config.Config {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.Listen = "127.0.0.1:0"
	return cfg
}

func open(t *testing.T, cfg *config.Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// settled waits until the lanes have done what was submitted before.
func settled(t *testing.T, s *Server) {
	t.Helper()
	for i := range s.store.Shards() {
		done := make(chan struct{})
		s.lanes.SubmitTo(i, &change.Online{}, func(change.Reply, error) { close(done) })
		<-done
	}
}

// The users online are recorded in the store by way of the lanes, and what a node has
// recorded is removed when it starts again.
func TestOnlineInTheStore(t *testing.T) {
	cfg := settings(t)
	cfg.Node = "node-1"
	s := open(t, cfg)
	ctx := t.Context()
	if err := s.store.Control.Renew(ctx, cfg.Node, time.Now().Add(time.Minute).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 2)
	for user, node := range map[chat.UserID]string{"ann": cfg.Node, "zoe": "node-2"} {
		entry := store.OnlineEntry{User: user, Node: node}
		room := chat.RoomID("r")
		s.submitOnline(s.store.ShardOf(room.Slot()), []store.OnlineChange{{Room: room, OnlineEntry: entry, On: true}}, func(err error) { written <- err })
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	s.online.Persist([]presence.Change{{Room: "r", User: "bob", On: true}})
	users, count, err := s.online.Online(ctx, "r", 10)
	if err != nil || count != 2 || !slices.Equal(users, []chat.UserID{"ann", "bob"}) {
		t.Errorf("%v of %d, %v", users, count, err)
	}
	s.Close()
	s = open(t, cfg)
	settled(t, s)
	if entries, err := s.store.Room("r").Online(ctx, "r", 10); err != nil || len(entries) != 1 || entries[0].User != "zoe" {
		t.Errorf("after it has started again: %v, %v", entries, err)
	}
}

func TestDrainCommitsAndEnds(t *testing.T) {
	cfg := settings(t)
	s := open(t, cfg)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	ann := engine.Actor{User: "ann"}
	if _, err := s.engine.Join(ctx, ann, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(s.URL() + "readyz"); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	} else {
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := s.ready(); err == nil {
		t.Error("a drained node says that it is ready")
	}
	if _, err := s.engine.Do(t.Context(), ann, &change.Send{Room: "r", Draft: chat.Draft{Text: "too late"}}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("a drained node took a message: %v", err)
	}
	s.Close()
	again := open(t, cfg)
	if r, err := again.store.Room("r").Room(t.Context(), "r"); err != nil || r.Members != 1 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	cfg := settings(t)
	open(t, cfg)
	second, err := Open(t.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err == nil {
		second.Close()
		t.Fatal("two servers use one data directory")
	}
	if !strings.Contains(err.Error(), cfg.DataDir) || !strings.Contains(err.Error(), "in use by another roomtide: stop that one first") {
		t.Errorf("the error does not help: %v", err)
	}
}

func TestSecret(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	if _, err := Secret(cfg, false); chat.KindOf(err) != chat.NotFound {
		t.Fatalf("no secret: %v", err)
	}
	a, err := Secret(cfg, true)
	if err != nil || len(a) != secretBytes {
		t.Fatal(len(a), err)
	}
	if b, err := Secret(cfg, true); err != nil || string(a) != string(b) {
		t.Fatal("another secret the second time", err)
	}
	path := cfg.TokenKey()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(cfg, true); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("a damaged secret: %v", err)
	}

	cfg.TokenKeyFile = filepath.Join(t.TempDir(), "shared.key")
	if _, err := Secret(cfg, true); chat.KindOf(err) != chat.NotFound || !strings.Contains(err.Error(), "openssl rand -hex 32") {
		t.Fatalf("a named file is made: %v", err)
	}
	for text, good := range map[string]bool{strings.Repeat("0f", 32) + "\n": true, strings.Repeat("0f", 31): false, "secret": false} {
		if err := os.WriteFile(cfg.TokenKeyFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Secret(cfg, true)
		if good != (err == nil) || good && len(got) != secretBytes || !good && !strings.Contains(err.Error(), "token_key_file "+cfg.TokenKeyFile) {
			t.Errorf("%q is %d bytes, %v", text, len(got), err)
		}
	}
}

func TestOfflineVerbsNeedAnExistingNode(t *testing.T) {
	cfg := settings(t)
	if _, _, err := Check(t.Context(), cfg); chat.KindOf(err) != chat.NotFound {
		t.Errorf("check: %v", err)
	}
	if err := Rebuild(t.Context(), cfg, func(string, int) {}); chat.KindOf(err) != chat.NotFound {
		t.Errorf("rebuild: %v", err)
	}
	if _, err := os.Stat(cfg.DataDir); err == nil {
		t.Error("a data directory was made")
	}
}

// A user who was put out of a room is not online in it any more.
func TestPutOutIsNotOnline(t *testing.T) {
	s := open(t, settings(t))
	ctx := t.Context()
	host := engine.Actor{Server: true}
	if _, err := s.engine.Join(ctx, engine.Actor{User: "ann"}, "r", engine.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	s.presence.Enter("r", "bob")
	c := s.hub.Attach(silent{}, lines{})
	defer c.Detach()
	c.SetUser("ann")
	if err := c.Subscribe("r"); err != nil || !c.Enter("r", 1, nil) {
		t.Fatal(err)
	}
	if _, err := s.engine.Do(ctx, host, &change.SetMember{Room: "r", User: "ann", Role: chat.RoleBanned}); err != nil {
		t.Fatal(err)
	}
	settled(t, s) // the event comes after the ack
	if users, err := s.engine.Online(ctx, host, "r", 0); err != nil || len(users.Users) != 1 || users.Users[0] != "bob" {
		t.Errorf("%v %v", users, err)
	}
	if h, err := s.engine.History(ctx, engine.Actor{User: "ann"}, "r", store.Page{}, engine.Around{}); chat.KindOf(err) != chat.NotMember {
		t.Errorf("%v %v", h, err)
	}
}
