package server

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtide/roomtide/chat"
)

// A node gets traffic as long as it can serve any room.
func TestJudge(t *testing.T) {
	up := func(name string, slots int) standing { return standing{name, slots, nil} }
	down := func(name string, slots int, kind chat.Kind) standing {
		return standing{name, slots, chat.E(kind, "of "+name)}
	}
	for name, tt := range map[string]struct {
		shards []standing
		down   []string
		ready  bool
	}{
		"all are up":                        {[]standing{up("a", 512), up("b", 512)}, nil, true},
		"one is down":                       {[]standing{up("a", 512), down("b", 512, chat.Unavailable)}, []string{"b"}, true},
		"all are down":                      {[]standing{down("a", 512, chat.Unavailable), down("b", 512, chat.Internal)}, []string{"a", "b"}, false},
		"what is up owns nothing":           {[]standing{up("a", 0), down("b", 1024, chat.Unavailable)}, []string{"b"}, false},
		"what is down owns nothing":         {[]standing{down("a", 0, chat.Unavailable), up("b", 1024)}, []string{"a"}, true},
		"all are full":                      {[]standing{down("a", 512, chat.ReadOnly), down("b", 512, chat.ReadOnly)}, []string{"a", "b"}, true},
		"one is full and the other is down": {[]standing{down("a", 512, chat.ReadOnly), down("b", 512, chat.Unavailable)}, []string{"a", "b"}, true},
	} {
		got, err := judge(tt.shards)
		if !slices.Equal(got, tt.down) || (err == nil) != tt.ready {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for _, st := range tt.shards {
			if err != nil && st.err != nil && !errors.Is(err, st.err) {
				t.Errorf("%s: %v does not have the cause %v", name, err, st.err)
			}
		}
	}
}

// A lane of another node is out of reach with its database, and with NATS, which may be
// away for a moment.
func TestTroubleAfar(t *testing.T) {
	dead := chat.E(chat.Unavailable, "the database")
	for name, tt := range map[string]struct {
		unreachable error
		away        time.Duration
		want        bool
	}{
		"both answer":              {nil, 0, false},
		"NATS is away for a while": {nil, natsAwayLong, false},
		"NATS is away":             {nil, natsAwayLong + 1, true},
		"the database is away":     {dead, 0, true},
		"neither of them answers":  {dead, time.Hour, true},
	} {
		if err := troubleAfar(tt.unreachable, tt.away); (err != nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The metric has a shard each.
func TestShardUp(t *testing.T) {
	cfg := settings(t)
	cfg.SQLiteShards = 3
	s := open(t, cfg)
	if n, err := testutil.GatherAndCount(s.reg, "roomtide_shard_up"); err != nil || n != 3 {
		t.Errorf("%d values, %v", n, err)
	}
	if down, err := s.ready(); err != nil || down != nil {
		t.Errorf("%q %v", down, err)
	}
}
