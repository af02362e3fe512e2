package sioapi

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/hub"
)

func disconnected(id string, rooms int) *resumeState {
	a := &resumeState{ID: id, User: chat.UserID("user of " + id)}
	for i := range rooms {
		a.Delivered.Rooms = append(a.Delivered.Rooms, hub.Position{Room: chat.RoomID(fmt.Sprint("room", i)), Rev: 7})
	}
	return a
}

func counter() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "c"}) }

func value(c prometheus.Counter) float64 {
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, _ := reg.Gather() // of one counter, which cannot fail
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestResumeStoreIsBounded(t *testing.T) {
	evicted := counter()
	a := newResumeStore(10, evicted)
	a.put(disconnected("first", 3))
	a.put(disconnected("second", 3))
	a.put(disconnected("first", 1)) // again: now it is the newest
	a.put(disconnected("third", 3)) // 4 + 2 + 4 positions
	if a.len() != 3 || value(evicted) != 0 {
		t.Errorf("%d are kept, %v evicted", a.len(), value(evicted))
	}
	a.put(disconnected("fourth", 0))
	for id, there := range map[string]bool{"first": true, "second": false, "third": true, "fourth": true} {
		if one := a.takeAny(id); (one != nil) != there {
			t.Errorf("%s: %v", id, one)
		}
		if a.takeAny(id) != nil {
			t.Errorf("%s was taken twice", id)
		}
	}
	if value(evicted) != 1 || a.size != 0 || a.order.Len() != 0 {
		t.Errorf("%v evicted, %d positions are left", value(evicted), a.size)
	}
	if a.put(disconnected("too large", 10)); a.len() != 0 {
		t.Error("what is too large is kept")
	}
}

// Users with large sessions, or many, do not take the place of others.
func TestResumeStoreIsShared(t *testing.T) {
	evicted := counter()
	a := newResumeStore(20_000, evicted)
	for i := range 1000 {
		a.put(disconnected(fmt.Sprint("small", i), 1))
	}
	for i := range 100 {
		a.put(disconnected(fmt.Sprint("large", i), 2024))
	}
	many := disconnected("", 3)
	for i := range 500 {
		one := *many
		one.ID = fmt.Sprint("many", i)
		a.put(&one)
	}
	for i := range 1000 {
		if id := fmt.Sprint("small", i); a.takeAny(id) == nil {
			t.Fatalf("%s was evicted", id)
		}
	}
	kept := 0
	for i := range 500 {
		if a.takeAny(fmt.Sprint("many", i)) != nil {
			kept++
		}
	}
	if kept != maxPerUser {
		t.Errorf("%d sessions of one user are kept", kept)
	}
	for e := a.order.Front(); e != nil; e = a.order.Front() {
		a.takeAny(e.Value.(*resumeState).ID)
	}
	if a.size != 0 || len(a.users) != 0 || len(a.heavy) != 0 || len(a.byID) != 0 {
		t.Errorf("%d positions of %d users are left", a.size, len(a.users))
	}
}

func TestResumeStoreInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resume.json")
	before := newResumeStore(100, counter())
	if err := before.save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file without sessions: %v", err)
	}
	for _, id := range []string{"a", "b", "c"} {
		before.put(disconnected(id, 2))
	}
	if err := before.save(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	after := newResumeStore(6, counter()) // has space for two of them
	if err := after.load(path); err != nil {
		t.Fatal(err)
	}
	if one := after.takeAny("c"); after.len() != 1 || one == nil || fmt.Sprint(*one) != fmt.Sprint(*disconnected("c", 2)) {
		t.Errorf("%v of %d", one, after.len())
	}
	if err := after.load(path); err != nil || after.len() != 1 {
		t.Errorf("the file was to be removed: %v, %d", err, after.len())
	}
	for _, damaged := range []string{"", "{", "[1]", `[{"id":1}]`, "[null]"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := after.load(path); (err == nil) != (damaged == "[null]") {
			t.Errorf("%q: %v", damaged, err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%q is still there: %v", damaged, err)
		}
	}
	if err := before.save(filepath.Join(path, "nowhere")); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("no such directory: %v", err)
	}
}

// What clients send as an offset is anything; what they were sent comes back.
func FuzzOffset(f *testing.F) {
	for _, s := range []string{"7 room", "", " ", "7", "-1 a", "7  a", "x y", "9223372036854775808 a", `7 "quoted"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		room, rev := parseOffset(s)
		if !utf8.ValidString(string(room)) {
			return // no room has such an id, and no JSON such a string
		}
		var sent string
		if err := json.Unmarshal(appendOffset(nil, room, rev), &sent); err != nil {
			t.Fatal(err)
		}
		if r, n := parseOffset(sent); r != room || n != rev {
			t.Errorf("%q is %q %d, and then %q is %q %d", s, room, rev, sent, r, n)
		}
	})
}

// takeAny takes the session of a socket without a check of its signature.
func (rs *resumeStore) takeAny(id string) *resumeState {
	return rs.take(id, func(*resumeState) bool { return true })
}
