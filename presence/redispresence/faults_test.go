package redispresence_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testredis"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/redispresence"
)

var ann = []presence.Change{{Room: "r", User: "ann", On: true}}

// Killed and started again, empty: the node tells everything by itself.
func TestRedisKilledAndStartedAgain(t *testing.T) {
	s := testredis.Start(t)
	d := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: 100 * time.Millisecond})
	apply(t, d, true, "r", "ann", "bob")
	s.Kill()
	until(t, "its absence is noticed", func() bool { _, _, err := d.Online(t.Context(), "r", 10); return err != nil })
	gone := []presence.Change{{Room: "r", User: "bob"}, {Room: "q", User: "cid", On: true}}
	if err := d.Apply(t.Context(), gone); err == nil {
		t.Error("Apply without Redis succeeds")
	}
	s.Start()
	until(t, "it is told again", func() bool {
		got, _, err := d.Online(t.Context(), "r", 10)
		return err == nil && slices.Equal(got, []chat.UserID{"ann"})
	})
	if err := d.Apply(t.Context(), gone); err != nil { // as the tracker tries again
		t.Error(err)
	}
	c := s.Client()
	wantOnline(t, d, s, c, "r", "ann")
	wantOnline(t, d, s, c, "q", "cid")
}

// Redis that has stopped holds calls up for their bound once, and not after that.
func TestRedisStands(t *testing.T) {
	s := testredis.Start(t)
	d := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: 500 * time.Millisecond, Timeout: 200 * time.Millisecond})
	apply(t, d, true, "r", "ann")
	s.Pause()
	for _, call := range []func() error{
		func() error { _, _, err := d.Online(t.Context(), "r", 10); return err },
		func() error { return d.Apply(t.Context(), ann) },
		func() error { _, _, err := d.Online(t.Context(), "r", 10); return err },
	} {
		begin := time.Now()
		if err := call(); err == nil {
			t.Error("it answers")
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("took %v, with a timeout of 200 ms", took)
		}
	}
	s.Resume()
	until(t, "it answers again", func() bool { _, n, err := d.Online(t.Context(), "r", 10); return err == nil && n == 1 })
}

// Whatever Redis refuses, the node has a driver, the log names the reason once, and all
// is well as soon as it is mended.
func TestRedisRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string // of the server
		user  string   // before the address
		path  string
		spoil []string // run before
		mend  []string
		log   string
	}{
		"no password":    {args: []string{"--requirepass", "secret"}, log: "NOAUTH", mend: []string{"ACL", "SETUSER", "default", "nopass"}},
		"wrong password": {args: []string{"--requirepass", "secret"}, user: "default:wrong@", log: "WRONGPASS", mend: []string{"ACL", "SETUSER", "default", ">wrong"}},
		"no rights":      {spoil: []string{"ACL", "SETUSER", "tide", "on", ">pw", "~x:*", "+@all"}, user: "tide:pw@", log: "NOPERM", mend: []string{"ACL", "SETUSER", "tide", "~*"}},
		"no database":    {path: "/99", log: "no database of this number"},
		"read-only":      {spoil: []string{"REPLICAOF", "127.0.0.1", "1"}, log: "READONLY", mend: []string{"REPLICAOF", "NO", "ONE"}},
		"out of memory":  {spoil: []string{"CONFIG", "SET", "maxmemory", "1"}, log: "OOM", mend: []string{"CONFIG", "SET", "maxmemory", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testredis.Start(t, c.args...)
			password := ""
			if c.args != nil {
				password = "secret"
			}
			admin := s.ClientWith(password)
			if c.spoil != nil {
				s.Do(admin, c.spoil...)
			}
			var log testlog.Buffer
			d := openWith(t, redispresence.Config{
				URL: "redis://" + c.user + s.Addr + c.path, Node: "a", Every: time.Hour, Log: log.Logger(slog.LevelInfo),
			})
			if err := d.Apply(t.Context(), ann); err == nil {
				t.Error("Apply succeeds")
			}
			if _, _, err := d.Online(t.Context(), "r", 1); err == nil {
				t.Error("Online succeeds")
			}
			d.Beat(t.Context())
			if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, c.log) || strings.Contains(text, "wrong@") {
				t.Errorf("log: %s", text)
			}
			if c.mend == nil {
				return
			}
			s.Do(admin, c.mend...)
			until(t, "it is told when mended", func() bool { return d.Beat(context.Background()) == nil })
			if got, n, err := d.Online(t.Context(), "r", 1); err != nil || n != 1 || got[0] != "ann" {
				t.Error(got, n, err)
			}
			if !strings.Contains(log.String(), "redis works again") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestURLIsRefused(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:6379", "http://user:secret@host", "redis://user:secret@host/x"} {
		_, err := redispresence.New(redispresence.Config{URL: url, Node: "a"})
		if chat.Public(err).Kind != chat.Invalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// The tracker answers from its record while Redis cannot, and from Redis again within
// a heartbeat of its return.
func TestTrackerWithoutRedis(t *testing.T) {
	s := testredis.Start(t)
	d := openWith(t, redispresence.Config{URL: s.URL(), Node: "a", Every: 100 * time.Millisecond})
	reg := prometheus.NewRegistry()
	tracker := presence.New(presence.Config{Driver: d, Record: &record{}, Tick: 10 * time.Millisecond, Registerer: reg})
	defer tracker.Close()
	tracker.Enter("r", "ann")
	c := s.Client()
	until(t, "ann is told", func() bool { return s.Do(c, "SMEMBERS", "room:r:users") == "ann" })
	s.Kill()
	tracker.Enter("r", "bob")
	until(t, "the record answers", func() bool {
		got, err := tracker.Online(t.Context(), "r", 10)
		return err == nil && slices.Contains(got.Users, "zoe") && slices.Contains(got.Users, "bob") && got.Degraded
	})
	if metric(t, reg, "roomtide_presence_fallbacks_total") == 0 {
		t.Error("no fallback was counted")
	}
	s.Start()
	until(t, "Redis answers", func() bool {
		got, err := tracker.Online(t.Context(), "r", 10)
		return err == nil && got.Count == 2 && slices.Equal(got.Users, []chat.UserID{"ann", "bob"}) && !got.Degraded
	})
}

// record is a record that knows of one user.
type record struct{}

func (*record) Persist([]presence.Change) {}

func (*record) Online(context.Context, chat.RoomID, int) ([]chat.UserID, int, error) {
	return []chat.UserID{"zoe"}, 1, nil
}
