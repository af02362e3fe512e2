package clusterbench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testfigures"
)

// outageEvery is the time between two messages to a room.
const outageEvery = 50 * time.Millisecond

// steady sends messages to one room at a rate, whatever has become of those before.
type steady struct {
	room chat.RoomID

	mu    sync.Mutex
	sent  []steadySent // guarded by mu
	inbox int          // guarded by mu: without an outcome
}

// steadySent is one message: when it was sent, when the server had it for the first time,
// committed or in the durable queue, and its number.
type steadySent struct {
	at, kept, acked time.Time
	seq             chat.Seq
	err             error
}

// begin sends until ctx ends.
func (s *steady) begin(ctx context.Context, t *testing.T, url, user string) {
	t.Helper()
	cl := enter(t.Context(), t, client.Options{URL: url, User: user, Accepted: func(_ chat.RoomID, key string) { s.keep(key, nil, nil) }}, s.room)
	t.Cleanup(cl.Close)
	go func() {
		tick := time.NewTicker(outageEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.mu.Lock()
			key := strconv.Itoa(len(s.sent))
			s.sent = append(s.sent, steadySent{at: time.Now()})
			s.inbox++
			s.mu.Unlock()
			cl.SendAsync(s.room, chat.Draft{Text: "steady", Key: key}, func(sent client.Sent, err error) { s.keep(key, &sent, err) })
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
}

// keep notes that the server has a message: in its queue, or with a number.
func (s *steady) keep(key string, sent *client.Sent, err error) {
	n, _ := strconv.Atoi(key) // as begin wrote it
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.sent[n]
	if m.kept.IsZero() {
		m.kept = now
	}
	if sent != nil {
		m.acked, m.seq, m.err = now, sent.Seq, err
		s.inbox--
	}
}

// judge checks the order, and returns the longest time until the server had a message, and
// until those sent before back had their number, behind back.
func (s *steady) judge(t *testing.T, back time.Time) (kept, caught time.Duration, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := chat.Seq(0)
	for i, m := range s.sent {
		if m.err != nil || m.seq <= last {
			t.Errorf("%s: message %d has the number %d behind %d, %v", s.room, i, m.seq, last, m.err)
		}
		last = m.seq
		kept = max(kept, m.kept.Sub(m.at))
		if m.at.Before(back) {
			caught = max(caught, m.acked.Sub(back))
		}
	}
	return kept, caught, len(s.sent)
}

func (s *steady) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inbox
}

// A database server is stopped while messages are sent at a rate to rooms on all shards:
// how long it takes until each is durable, in the queue or the database, and until all have
// their numbers when the server is back, in the order in which they were sent.
func TestOutage(t *testing.T) {
	c := startWith(t, 6, "ROOMTIDE_QUEUE_MODE=overflow")
	away := time.Second
	if *testfigures.Wanted {
		away = 30 * time.Second
	}
	testfigures.Head("database server away for "+away.String(), "messages", "longest until one is accepted or committed", "longest until all are committed when it is back")
	for i, server := range c.SQL {
		t.Run(string(server.Engine()), func(t *testing.T) { outage(t, c, i, server, away) })
	}
}

func outage(t *testing.T, c *testcluster.Cluster, round int, server *testdb.Server, away time.Duration) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all []*steady
	open := func() (n int) {
		for _, s := range all {
			n += s.open()
		}
		return n
	}
	for i := range probeRooms {
		s := &steady{room: chat.RoomID(fmt.Sprintf("steady %d %d", round, i))}
		s.begin(ctx, t, "ws://"+c.Addr(testcluster.Names[i%len(testcluster.Names)]), fmt.Sprint("sender", i))
		all = append(all, s)
	}
	<-time.After(away / 10)
	server.Stop()
	<-time.After(away)
	if open() == 0 {
		t.Error("no message waits while the database is away")
	}
	server.Restart()
	back := time.Now()
	<-time.After(away / 3)
	stop()
	for deadline := time.Now().Add(time.Minute); open() > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages have no outcome", open())
		}
	}
	var kept, caught time.Duration
	messages := 0
	for _, s := range all {
		k, b, n := s.judge(t, back)
		kept, caught, messages = max(kept, k), max(caught, b), messages+n
	}
	testfigures.Row(string(server.Engine()), messages, millis(kept), millis(caught))
}
