package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T) *config.Config {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.Listen = "127.0.0.1:0"
	return cfg
}

func open(t *testing.T, cfg *config.Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// noted waits until the lanes have written what was noted before.
func noted(t *testing.T, s *Server) {
	t.Helper()
	for i := range s.store.Shards() {
		done := make(chan struct{})
		s.lanes.SubmitTo(i, &lane.Seats{}, func(lane.Reply, error) { close(done) })
		<-done
	}
}

// The store answers who is online when the presence cache cannot, for nodes
// that are alive.
func TestSeatsAnswerFromTheStore(t *testing.T) {
	s := open(t, settings(t))
	ctx := t.Context()
	if err := s.store.Control.Renew(ctx, nodeName, time.Now().Add(time.Minute).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	dead := &seats{node: "dead", store: s.store, lanes: s.lanes, log: s.log}
	dead.note([]presence.Change{{Room: "r", User: "zoe", On: true}})
	s.seats.note([]presence.Change{
		{Room: "r", User: "bob", On: true}, {Room: "r", User: "ann", On: true}, {Room: "other", User: "cid", On: true},
	})
	for range 3 { // before it is due, when it is due, and written
		users, count, err := s.seats.online(ctx, "r", 1)
		if err != nil || count != 2 || len(users) != 1 || users[0] != "ann" {
			t.Fatalf("%v of %d, %v", users, count, err)
		}
		dead.write()
		s.seats.write()
		noted(t, s)
	}
	if err := s.store.Control.Renew(ctx, "dead", time.Now().Add(time.Minute).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if _, count, err := s.seats.online(ctx, "r", 10); err != nil || count != 3 {
		t.Fatalf("%d with the other node alive, %v", count, err)
	}
	s.seats.note([]presence.Change{{Room: "r", User: "bob"}})
	if _, count, err := s.seats.online(ctx, "r", 10); err != nil || count != 2 {
		t.Fatalf("%d after bob went, %v", count, err)
	}
	s.seats.clear()
	noted(t, s)
	if _, count, err := s.seats.online(ctx, "r", 10); err != nil || count != 1 {
		t.Fatalf("%d after this node's were cleared, %v", count, err)
	}
	if users, _, err := s.seats.online(ctx, "r", 10); err != nil || len(users) != 1 || users[0] != "zoe" {
		t.Fatalf("%v after this node's were cleared, %v", users, err)
	}
}

// A crowd's notes are written in portions, and no later note overtakes them.
func TestSeatsOfACrowd(t *testing.T) {
	s := open(t, settings(t))
	const crowd = 3*seatsATime + 1
	var came, went []presence.Change
	for i := range crowd {
		c := presence.Change{Room: "r", User: chat.UserID(fmt.Sprint("user", i)), On: true}
		came = append(came, c)
		c.On = false
		went = append(went, c)
	}
	s.seats.note(came)
	s.seats.write()
	s.seats.write() // the first portion is on its way
	s.seats.note(went)
	s.seats.write() // not begun, or the portions have all been written
	s.seats.write()
	for s.seats.writing.Load() > 0 {
		runtime.Gosched()
	}
	s.seats.write()
	s.seats.write()
	for s.seats.writing.Load() > 0 {
		runtime.Gosched()
	}
	wantMetrics(t, s, map[string]float64{"roomtide_seats_waiting": 0, "roomtide_seats_lost_total": 0})
	seats, err := s.store.Room("r").Online(t.Context(), "r", crowd)
	if err != nil || len(seats) != 0 {
		t.Errorf("%d are noted, %v", len(seats), err)
	}
}

// Who is back before it is written never went.
func TestSeatsOfABriefAbsence(t *testing.T) {
	s := open(t, settings(t))
	seat := presence.Change{Room: "r", User: "ann", On: true}
	gone := seat
	gone.On = false
	s.seats.note([]presence.Change{seat})
	s.seats.write()
	s.seats.write()
	noted(t, s)
	s.seats.note([]presence.Change{gone})
	s.seats.write() // not due yet
	wantMetrics(t, s, map[string]float64{"roomtide_seats_waiting": 1, "roomtide_seats_undone_total": 0})
	s.seats.note([]presence.Change{seat})
	if n := len(s.seats.young) + len(s.seats.old); n != 0 {
		t.Errorf("%d rooms are to be written", n)
	}
	wantMetrics(t, s, map[string]float64{"roomtide_seats_waiting": 0, "roomtide_seats_undone_total": 1, "roomtide_seats_lost_total": 0})
	seats, err := s.store.Room("r").Online(t.Context(), "r", 10)
	if err != nil || len(seats) != 1 || seats[0].User != "ann" {
		t.Errorf("%v, %v", seats, err)
	}
}

// What the lanes do not take any more is counted as lost, the portions behind it too.
func TestSeatsLost(t *testing.T) {
	s := open(t, settings(t))
	const crowd = 2*seatsATime + 1
	for i := range crowd {
		s.seats.note([]presence.Change{{Room: "r", User: chat.UserID(fmt.Sprint("user", i)), On: true}})
	}
	s.seats.write()
	wantMetrics(t, s, map[string]float64{"roomtide_seats_waiting": crowd, "roomtide_seats_lost_total": 0})
	s.lanes.Close(t.Context())
	s.seats.write()
	wantMetrics(t, s, map[string]float64{"roomtide_seats_waiting": 0, "roomtide_seats_lost_total": crowd})
}

// wantMetrics looks at what /metrics would show.
func wantMetrics(t *testing.T, s *Server, want map[string]float64) {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if v, asked := want[f.GetName()]; asked {
			if got := f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue(); got != v {
				t.Errorf("%s is %v, want %v", f.GetName(), got, v)
			}
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("no metrics %v", want)
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
	if s.ready() == nil {
		t.Error("a drained node says that it is ready")
	}
	if _, _, err := s.engine.Post(t.Context(), ann, "r", chat.Draft{Text: "too late"}); chat.KindOf(err) != chat.Unavailable {
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
	second, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		second.Close()
		t.Fatal("two servers use one data directory")
	}
	if !strings.Contains(err.Error(), cfg.DataDir) || !strings.Contains(err.Error(), "another server") {
		t.Errorf("the error does not help: %v", err)
	}
}

func TestSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Secret(dir, false); chat.KindOf(err) != chat.NotFound {
		t.Fatalf("no secret: %v", err)
	}
	a, err := Secret(dir, true)
	if err != nil || len(a) != secretBytes {
		t.Fatal(len(a), err)
	}
	if b, err := Secret(dir, true); err != nil || string(a) != string(b) {
		t.Fatal("another secret the second time", err)
	}
	path := filepath.Join(dir, secretFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(dir, true); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("a damaged secret: %v", err)
	}
}

func TestOfflineVerbsNeedAnExistingNode(t *testing.T) {
	cfg := settings(t)
	if _, err := Check(t.Context(), cfg); chat.KindOf(err) != chat.NotFound {
		t.Errorf("check: %v", err)
	}
	if err := Rebuild(t.Context(), cfg, func(int) {}); chat.KindOf(err) != chat.NotFound {
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
	s.presence.Enter("r", "ann")
	s.presence.Enter("r", "bob")
	// Somebody has to sit in the room for the hub to hear of it.
	c := s.hub.Attach(silent{}, lines{})
	defer c.Detach()
	if err := c.Subscribe("r"); err != nil {
		t.Fatal(err)
	}
	if err := s.engine.SetMember(ctx, host, "r", "ann", "", chat.RoleBanned); err != nil {
		t.Fatal(err)
	}
	noted(t, s) // the event comes after the ack
	if users, err := s.engine.Online(ctx, host, "r", 0); err != nil || len(users.Users) != 1 || users.Users[0] != "bob" {
		t.Errorf("%v %v", users, err)
	}
	if h, err := s.engine.History(ctx, engine.Actor{User: "ann"}, "r", store.Page{}); chat.KindOf(err) != chat.NotMember {
		t.Errorf("%v %v", h, err)
	}
}
