package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/internal/testredis"
)

// said are the texts of all messages in a room, in their order.
func said(t *testing.T, n *testprocess.Node, room string) (all []string) {
	t.Helper()
	for after := "0"; ; {
		status, _, page := over(t, n, "ann", "GET", "/v1/rooms/"+room+"/messages?limit=100&after="+url.QueryEscape(after), "")
		if status != 200 {
			t.Fatalf("%d %v", status, page)
		}
		for _, m := range page["messages"].([]any) {
			m := m.(map[string]any)
			all = append(all, fmt.Sprint(m["message"]))
			after = strconv.FormatFloat(m["seq"].(float64), 'f', 0, 64)
		}
		if more, _ := page["more"].(bool); !more {
			return all
		}
	}
}

// wantTexts waits until a room has so many messages, which must be these.
func wantTexts(t *testing.T, n *testprocess.Node, room string, want []string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; <-time.After(20 * time.Millisecond) {
		got := said(t, n, room)
		if slices.Equal(got, want) {
			return
		}
		if len(got) > len(want) || time.Now().After(end) {
			t.Fatalf("%s has %d messages, want %d: %q\nlog: %s", room, len(got), len(want), got, n.Stderr())
		}
	}
}

// numbered are entries of which the texts are numbers, from a on and before b.
func numbered(room string, a, b int) (entries, want []string) {
	for i := a; i < b; i++ {
		entries = append(entries, fmt.Sprintf(`{"room":%q,"user":"system","message":"%d"}`, room, i))
		want = append(want, strconv.Itoa(i))
	}
	return entries, want
}

// What back ends push into Redis is in the rooms, once and in order, whatever is killed;
// what cannot be sent is kept with the reason.
func TestMessagesFromRedis(t *testing.T) {
	t.Parallel()
	s := testredis.Start(t)
	c := s.Client()
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	start := func() *testprocess.Node {
		n := program.StartWith(t, dir, addr, []string{"--ingest-redis-url", s.URL(), "--ingest-redis-list", "roomtide:send", "--ingest-redis-stream", "roomtide:stream", "--metrics-public"})
		n.Ready()
		return n
	}
	n := start()
	ann := user(t, n, "ann")
	join(t, ann, "lobby")
	join(t, ann, "other")
	for _, entry := range []string{
		`{"room":"lobby","user":"shop","message":"keyed","key":"order-4711","name":"The shop","data":{"order":4711}}`,
		`{"room":"none","user":"shop","message":"lost?"}`, `hello`, `{"room":"lobby","user":"shop","message":"x","text":"y"}`,
		`{"room":"lobby","message":"whose?"}`, `{"room":"lobby","user":"shop","message":"` + strings.Repeat("x", 70_000) + `"}`,
		`{"room":"lobby","user":"shop","message":"keyed","key":"order-4711","data":{"order":4711}}`, // again
		`{"room":"lobby","user":"shop","message":"another","key":"order-4711"}`,
	} {
		s.Do(c, "RPUSH", "roomtide:send", entry)
	}
	wantTexts(t, n, "lobby", []string{"keyed"})
	eventually(t, "six entries are kept", func() bool { return s.Do(c, "LLEN", "roomtide:send:failed") == "6" })
	var codes []string
	for i := range 6 {
		var kept struct{ Code, Reason, Entry string }
		if err := json.Unmarshal([]byte(s.Do(c, "LINDEX", "roomtide:send:failed", strconv.Itoa(i))), &kept); err != nil || kept.Reason == "" || kept.Entry == "" {
			t.Errorf("%+v, %v", kept, err)
		}
		codes = append(codes, kept.Code)
	}
	slices.Sort(codes)
	if want := []string{"conflict", "invalid", "invalid", "invalid", "not_found", "too_large"}; !slices.Equal(codes, want) {
		t.Errorf("codes: %v", codes)
	}

	const each = 400
	entries, want := numbered("lobby", 0, each)
	for i, entry := range entries {
		s.Do(c, "RPUSH", "roomtide:send", entry)
		s.Do(c, "XADD", "roomtide:stream", "*", "json", strings.Replace(entry, "lobby", "other", 1))
		if i == each/4 || i == each/2 { // while it sends what was there before
			n.Kill()
			n = start()
		}
		if i == 3*each/4 {
			s.Pause()
			eventually(t, "the absence of Redis is noticed", func() bool { return strings.Contains(n.Stderr(), "cannot be read and will be tried again") })
			s.Resume()
		}
	}
	wantTexts(t, n, "lobby", append([]string{"keyed"}, want...))
	wantTexts(t, n, "other", want)
	eventually(t, "nothing is left", func() bool {
		return s.Do(c, "LLEN", "roomtide:send") == "0" && s.Do(c, "XLEN", "roomtide:send:taken") == "0" && s.Do(c, "XLEN", "roomtide:stream") == "0"
	})
	if sent := metric(t, n, "roomtide_ingest_entries_total"); !strings.Contains(sent, `queue="redis_list"`) {
		t.Errorf("metrics: %s", sent)
	}
	if code := n.Terminate(20 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, n.Stderr())
	}
	if reader := s.Do(c, "GET", "roomtide:send:reader"); reader != "" {
		t.Errorf("a node that has stopped is still the reader: %s", reader)
	}
}

// Of two nodes one reads. While no database answers, entries stay where they are; when
// the reader dies the other one goes on. Everything is in the room once, in order.
func TestQueuesOfTwoNodes(t *testing.T) {
	t.Parallel()
	db := testdb.Start(t, testdb.Maria)
	broker := testnats.Start(t, 1, func(o *server.Options) { o.JetStream = true })
	s := testredis.Start(t)
	c := s.Client()
	ns := newNodes(t, db.Database())
	ns.env = append(ns.env, "ROOMTIDE_NATS_URL="+broker.URL(0), "ROOMTIDE_REDIS="+s.URL(),
		"ROOMTIDE_INGEST_REDIS_LIST=q", "ROOMTIDE_INGEST_NATS_SUBJECTS=host.send,host.more")
	ns.start("a")
	ann := user(t, ns.start("b"), "ann")
	join(t, ann, "lobby")
	join(t, ann, "nats")
	j, err := js.New(broker.Connect(0))
	if err != nil {
		t.Fatal(err)
	}
	push := func(a, b int) {
		t.Helper()
		entries, _ := numbered("lobby", a, b)
		for i, entry := range entries {
			s.Do(c, "RPUSH", "q", entry)
			subject := []string{"host.send", "host.more"}[i%2]
			if _, err := j.Publish(t.Context(), subject, []byte(strings.Replace(entry, "lobby", "nats", 1))); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, want := numbered("", 0, 300)
	push(0, 100)
	wantTexts(t, ns.run["a"], "lobby", want[:100])
	wantTexts(t, ns.run["b"], "nats", want[:100])
	db.Pause()
	push(100, 200)
	left := func() string { return s.Do(c, "XLEN", "q:taken") }
	eventually(t, "entries wait for the database", func() bool { return left() == "100" })
	reader, _, _ := strings.Cut(s.Do(c, "GET", "q:reader"), ":")
	if ns.run[reader] == nil {
		t.Fatalf("the reader is %q", reader)
	}
	ns.run[reader].Kill()
	other := map[string]string{"a": "b", "b": "a"}[reader]
	push(200, 300)
	db.Continue()
	eventually(t, "the other node reads", func() bool { return strings.HasPrefix(s.Do(c, "GET", "q:reader"), other+":") })
	wantTexts(t, ns.run[other], "lobby", want)
	wantTexts(t, ns.run[other], "nats", want)
	eventually(t, "nothing is left", func() bool { return s.Do(c, "LLEN", "q") == "0" && left() == "0" })
}
