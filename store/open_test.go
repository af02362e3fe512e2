package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

// opens opens what o has, and closes it again unless that is refused.
func opens(t *testing.T, o *fakeOpener) ([]string, error) {
	t.Helper()
	s, err := Open(t.Context(), o, nil)
	if err == nil {
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	if err != nil {
		if o.open() != 0 || o.locked {
			t.Errorf("after %v %d databases are open, and locked is %v", err, o.open(), o.locked)
		}
		return nil, err
	}
	var names []string
	for _, shard := range s.Shards() {
		names = append(names, shard.Name())
	}
	return names, nil
}

// refused opens what must be refused, with the words in the error.
func refused(t *testing.T, o *fakeOpener, kind chat.Kind, words ...string) {
	t.Helper()
	_, err := opens(t, o)
	if err == nil || chat.KindOf(err) != kind {
		t.Fatalf("the error is %v, want %s", err, kind.Code())
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in the error: %v", w, err)
		}
	}
}

func TestFirstStartMakesTheShards(t *testing.T) {
	o := newFakeOpener(3)
	for range 2 {
		names, err := opens(t, o)
		if err != nil || !slices.Equal(names, []string{"s0", "s1", "s2"}) {
			t.Fatal(names, err)
		}
		o.names = []string{"other"} // from now on the map says which there are
	}
	if got := o.made(); len(got) != 3 {
		t.Errorf("shards: %v", got)
	}
	if o.control.saved.Version != 1 {
		t.Errorf("map version %d", o.control.saved.Version)
	}
}

func TestNumberOfShards(t *testing.T) {
	for _, n := range []int{0, chat.Slots + 1} {
		o := newFakeOpener(n)
		refused(t, o, chat.Invalid)
		if o.control != nil {
			t.Errorf("%d shards: something was made", n)
		}
	}
}

func TestFirstStartThatDidNotGetToItsEnd(t *testing.T) {
	o := newFakeOpener(2)
	o.control = &fakeControl{fail: errors.New("no space")}
	refused(t, o, chat.Internal, "no space")
	o.control.fail = nil
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
}

func TestMissingShard(t *testing.T) {
	o := newFakeOpener(2)
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	o.lose("s1")
	refused(t, o, chat.Internal, "s1", "missing")
	if got := o.made(); !slices.Equal(got, []string{"s0"}) {
		t.Errorf("the shards are %v", got)
	}
}

func TestLostControlDatabase(t *testing.T) {
	o := newFakeOpener(2)
	o.shards["s1"] = &fakeDriver{rooms: true}
	refused(t, o, chat.Internal, "s1", "put the right control database back")
	if o.control.saved != nil {
		t.Error("another map was saved")
	}
}

func TestOneServerAtATime(t *testing.T) {
	o := newFakeOpener(1)
	s, err := Open(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), &struct{ *fakeOpener }{o}, nil); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("a second server: %v", err)
	}
	c, err := OpenControl(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Map(t.Context()); err != nil || len(m.Shards) != 1 {
		t.Errorf("a tool sees %v, %v", m, err)
	}
	if err := errors.Join(c.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := OpenControl(t.Context(), newFakeOpener(1)); chat.KindOf(err) != chat.NotFound {
		t.Errorf("a tool without a server: %v", err)
	}
}

// owners is the stored map as "name:slots".
func (o *fakeOpener) owners() (out []string) {
	m := o.control.saved
	for i, n := range m.Slots() {
		out = append(out, fmt.Sprint(m.Shards[i], ":", n))
	}
	return out
}

func TestShardsAreAddedAndTakenOut(t *testing.T) {
	o := newFakeOpener(2)
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	o.more = []string{"s0", "new", "newer"}
	for range 2 { // the second start changes nothing
		names, err := opens(t, o)
		if err != nil || !slices.Equal(names, []string{"s0", "s1", "new", "newer"}) {
			t.Fatal(names, err)
		}
		if got := o.owners(); o.control.saved.Version != 2 || !slices.Equal(got, []string{"s0:512", "s1:512", "new:0", "newer:0"}) {
			t.Fatalf("the map is %v, version %d", got, o.control.saved.Version)
		}
	}

	// Everything of s0 moves to newer, and s0 goes away. So does new.
	m := *o.control.saved
	m.Version = 3
	for s, owner := range m.Owner {
		if owner == 0 {
			m.Owner[s] = 3
		}
	}
	o.control.saved = &m
	o.more = []string{"newer"}
	o.lose("s0")
	o.lose("new")
	names, err := opens(t, o)
	if err != nil || !slices.Equal(names, []string{"s1", "newer"}) {
		t.Fatal(names, err)
	}
	if got := o.owners(); o.control.saved.Version != 4 || !slices.Equal(got, []string{"s1:512", "newer:512"}) {
		t.Errorf("the map is %v, version %d", got, o.control.saved.Version)
	}
	if o.control.saved.Owner[0] != 1 || o.control.saved.Owner[chat.Slots-1] != 0 {
		t.Error("the slots have other owners than before")
	}
	o.lose("newer")
	refused(t, o, chat.Internal, "newer", "missing")
}

// A shard that is named but not in the map may be what a lost map named.
func TestAddedShardWithRooms(t *testing.T) {
	o := newFakeOpener(1)
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	o.more = []string{"full"}
	o.shards["full"] = &fakeDriver{rooms: true}
	refused(t, o, chat.Internal, "full", "does not name it")
	if o.control.saved.Version != 1 {
		t.Error("the map was changed")
	}
}

// A shard that is to be made and cannot be is not taken for one that is gone.
func TestAddedShardThatCannotBeMade(t *testing.T) {
	o := newFakeOpener(1)
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	o.more, o.fail = []string{"new"}, chat.E(chat.NotFound, "there is no such database")
	refused(t, o, chat.NotFound, "there is no such database")
}

func TestMapThatWasChangedMeanwhile(t *testing.T) {
	o := newFakeOpener(1)
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	o.more, o.control.fail = []string{"new"}, chat.E(chat.Conflict, "changed meanwhile")
	refused(t, o, chat.Conflict, "changed meanwhile")
}

// Nodes of a cluster start together, the first time or with a shard that is added: the
// map of one of them is that of all.
func TestMapThatAnotherNodeStored(t *testing.T) {
	o := newFakeOpener(2)
	o.control = &fakeControl{}
	for _, want := range [][]string{{"s0", "s1"}, {"s0", "s1", "new"}} {
		o.control.before = func(m *Map) {
			first := *m
			first.Owner[7] = 1 // it has moved a slot already
			o.control.saved, o.control.fail = &first, chat.E(chat.Conflict, "changed meanwhile")
		}
		s, err := Open(t.Context(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.MapVersion() != o.control.saved.Version || s.ShardOf(7) != 1 || !slices.Equal(o.control.saved.Shards, want) {
			t.Errorf("version %d is used, and slot 7 is that of shard %d; stored is version %d of %v",
				s.MapVersion(), s.ShardOf(7), o.control.saved.Version, o.control.saved.Shards)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		o.more, o.control.fail = []string{"new"}, nil
	}

	o.more = []string{"newer"}
	o.control.before = func(m *Map) { // the other one has other settings
		other := m.With([]string{"another"})
		o.control.saved, o.control.fail = other, chat.E(chat.Conflict, "changed meanwhile")
	}
	refused(t, o, chat.Conflict, "changed meanwhile")
}

func TestStoppedServer(t *testing.T) {
	o := newFakeOpener(2)
	if _, err := OpenStopped(t.Context(), o); chat.KindOf(err) != chat.NotFound || o.locked || o.control != nil {
		t.Fatalf("before the first start: %v", err)
	}
	o.more = []string{"s0", "s1", "spare"}
	if _, err := opens(t, o); err != nil {
		t.Fatal(err)
	}
	if _, err := opens(t, o); err != nil { // adds spare
		t.Fatal(err)
	}
	o.lose("spare")
	o.more = []string{"other"}
	s, err := OpenStopped(t.Context(), o)
	if err != nil || len(s.Shards()) != 2 {
		t.Fatal(s, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := o.made(); o.control.saved.Version != 2 || !slices.Equal(got, []string{"s0", "s1"}) {
		t.Errorf("a tool has left the shards %v and map version %d", got, o.control.saved.Version)
	}
}
