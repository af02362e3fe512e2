package redisingest_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/ingest"
	"github.com/roomtide/roomtide/ingest/ingesttest"
	"github.com/roomtide/roomtide/ingest/redisingest"
	"github.com/roomtide/roomtide/internal/testredis"
)

func TestSuite(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	for _, list := range []bool{true, false} {
		name := "stream"
		if list {
			name = "list"
		}
		t.Run(name, func(t *testing.T) {
			ingesttest.Run(t, func(t *testing.T) ingesttest.Queue {
				s.Do(c, "FLUSHALL")
				return queue(t, s, c, list)
			})
		})
	}
}

func queue(t *testing.T, s *testredis.Server, c rueidis.Client, list bool) ingesttest.Queue {
	stream := "q"
	if list {
		stream = "q:taken"
	}
	number := func(words ...string) int {
		n, err := strconv.Atoi(s.Do(c, words...))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return ingesttest.Queue{
		Put: func(data string) {
			if list {
				s.Do(c, "RPUSH", "q", data)
				return
			}
			s.Do(c, "XADD", "q", "*", "json", data)
		},
		Open: func(node string) ingest.Source {
			return open(t, redisingest.Config{URL: s.URL(), Node: node, List: list, Life: 1500 * time.Millisecond})
		},
		Die: func(src ingest.Source) { src.(*redisingest.Source).Abandon() },
		Left: func() int {
			left := number("XLEN", stream)
			if list {
				left += number("LLEN", "q")
			}
			return left
		},
		Failed: func() (entries, codes, why []string) {
			kept, err := c.Do(t.Context(), c.B().Lrange().Key("q:failed").Start(0).Stop(-1).Build()).AsStrSlice()
			if err != nil {
				t.Fatal(err)
			}
			slices.Reverse(kept)
			for _, text := range kept {
				f := readFailed(t, text)
				if f.Bytes != nil {
					f.Entry = string(f.Bytes)
				}
				entries, codes, why = append(entries, f.Entry), append(codes, f.Code), append(why, f.Reason)
			}
			return entries, codes, why
		},
		Takes: 2 * time.Second,
	}
}

type failed struct {
	ID, Code, Reason, Entry string
	Bytes                   []byte `json:"base64"`
	Size                    int
	Time                    int64
}

func readFailed(t *testing.T, text string) (f failed) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.ID == "" || f.Time == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

func open(t *testing.T, cfg redisingest.Config) *redisingest.Source {
	t.Helper()
	cfg.Key = "q"
	src, err := redisingest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// Entries that are too large are cut, in the list already, and what is read at once is
// bounded. What the list has beyond the bound of its stream stays in the list.
func TestBounds(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	large := strings.Repeat("x", 5000)
	s.Do(c, "RPUSH", "q", large, "small")
	s.Do(c, "XADD", "s", "*", "json", large)
	s.Do(c, "XADD", "s", "*", "text", "of another kind")
	list := open(t, redisingest.Config{URL: s.URL(), List: true, MaxEntry: 4096})
	t.Cleanup(func() { list.Close() })
	got, err := list.Read(t.Context(), 10)
	if err != nil || len(got) != 2 || len(got[0].Data) != 1024 || got[0].Size != 5000 || string(got[1].Data) != "small" {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	if err := list.Fail(t.Context(), got[0], ingest.Failure{Code: "too_large", Reason: "too large"}); err != nil {
		t.Fatal(err)
	}
	if f := readFailed(t, s.Do(c, "LINDEX", "q:failed", "0")); f.Size != 5000 || f.Entry != large[:1024] {
		t.Errorf("%+v", f)
	}
	stream, err := redisingest.New(redisingest.Config{URL: s.URL(), Key: "s", MaxEntry: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	got, err = stream.Read(t.Context(), 10)
	if err != nil || len(got) != 2 || len(got[0].Data) != 1024 || got[0].Size != 5000 || len(got[1].Data) != 0 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	s.Do(c, "DEL", "q:taken")
	s.Do(c, "EVAL", "for i = 1, 10000 do redis.call('XADD', 'q:taken', '*', 'json', 'x') end for i = 1, 5 do redis.call('RPUSH', 'q', 'y') end", "0")
	if got, err := list.Read(t.Context(), 100); err != nil || len(got) != 100 || s.Do(c, "LLEN", "q") != "5" {
		t.Errorf("%d entries, %v; %s are left in the list", len(got), err, s.Do(c, "LLEN", "q"))
	}
}

// What is wrong is said in words, and passes: Redis away, emptied, a key of another kind.
func TestRedisFails(t *testing.T) {
	s := testredis.Start(t)
	src := open(t, redisingest.Config{URL: s.URL(), List: true, Timeout: 20 * time.Second})
	t.Cleanup(func() { src.Close() })
	read := func(want string) {
		t.Helper()
		got, err := src.Read(t.Context(), 10)
		if err != nil || len(got) != 1 || string(got[0].Data) != want {
			t.Fatalf("%v, %v, want %s", got, err, want)
		}
	}
	c := s.Client()
	s.Do(c, "RPUSH", "q", "1")
	read("1")
	s.Do(c, "FLUSHALL")
	s.Do(c, "RPUSH", "q", "2")
	read("2")
	s.Kill()
	if _, err := src.Read(t.Context(), 10); chat.KindOf(err) != chat.Unavailable || !strings.Contains(chat.Public(err).Text, "redis does not answer") {
		t.Errorf("without Redis: %v", err)
	}
	if err := src.Done(t.Context(), []string{"q:taken:1-1"}); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("without Redis: %v", err)
	}
	s.Start()
	s.Do(s.Client(), "SET", "q", "text")
	for end := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) { // until the connection is back
		_, err := src.Read(t.Context(), 10)
		if err != nil && strings.Contains(chat.Public(err).Text, "WRONGTYPE") {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	s.Do(s.Client(), "DEL", "q")
	s.Do(s.Client(), "RPUSH", "q", "3")
	read("3")
}

// The user of the documentation may do everything that a source does, and Ping finds one
// who may not.
func TestRights(t *testing.T) {
	s := testredis.Start(t)
	c := s.Client()
	s.Do(c, "ACL", "SETUSER", "roomtide", "on", ">pw", "~q", "~q:*", "+@read", "+@write", "+@connection", "+@scripting", "-@dangerous")
	s.Do(c, "ACL", "SETUSER", "other", "on", ">pw", "~q", "~q:*", "+@read", "+@write", "+@connection", "-@dangerous")
	cfg := redisingest.Config{URL: "redis://roomtide:pw@" + s.Addr, Key: "q", List: true}
	if err := redisingest.Ping(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	src := open(t, cfg)
	t.Cleanup(func() { src.Close() })
	s.Do(c, "RPUSH", "q", "1")
	got, err := src.Read(t.Context(), 10)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if err := src.Done(t.Context(), []string{got[0].ID}); err != nil {
		t.Error(err)
	}
	if _, err := src.Read(t.Context(), 10); err != nil { // and waits
		t.Error(err)
	}
	cfg.URL = "redis://other:pw@" + s.Addr
	if err := redisingest.Ping(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("a user without the right: %v", err)
	}
	if keys := s.Do(c, "KEYS", "*doctor*"); keys != "" {
		t.Errorf("Ping leaves %s", keys)
	}
}
