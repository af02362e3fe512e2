package follow

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
)

// A table that is not read any further, as too many keys are missing, has a lag.
func TestLagOfTooManyGaps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chat.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{Source: source.Address{DSN: "sqlite:" + file}, Kind: Polling, Interval: time.Millisecond, Tables: []Table{{Name: "messages", Key: "id"}}}
	db, _, err := source.Dial(c.Source, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{"CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO messages (id) VALUES (1000000)"} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	s, err := dial(t.Context(), c, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	p, err := openPoll(t.Context(), s, encodePositions(map[string]string{"messages": "999999"}))
	if err != nil {
		t.Fatal(err)
	}
	p.slow = time.Now().Add(time.Hour) // what is missing stays so
	long := time.Now().Add(-time.Hour)
	p.caughtUp.Store(long.UnixNano())
	for i := range int64(mostGaps) {
		p.trackers[0].gaps.add(2*i, 2*i, long)
	}
	p.pending = []source.Key{"found before"} // ends the round
	if keys, _, err := p.Next(t.Context()); err != nil || len(keys) != 1 || p.Lag() < time.Minute || p.behind() {
		t.Errorf("%q, %v; the lag is %s", keys, err, p.Lag())
	}
	p.trackers[0].gaps.list = nil
	if keys, _, err := p.Next(t.Context()); err != nil || len(keys) != 1 || keys[0] != "1000000" || p.Lag() > time.Minute {
		t.Errorf("%q, %v; the lag is %s", keys, err, p.Lag())
	}
}
