package store

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
)

// reader is the reader of a shard whose driver answers Room as told.
func reader(t *testing.T, reg prometheus.Registerer, room func(context.Context) (chat.Room, error)) *Reader {
	t.Helper()
	s, err := New(NewMap([]string{"one"}), []Driver{&fakeDriver{room: room}}, nil, reg)
	if err != nil {
		t.Fatal(err)
	}
	return s.Room("r")
}

func TestErrorsHaveAKindAndNameTheShard(t *testing.T) {
	foreign := errors.New("the driver's own")
	for _, c := range []struct {
		name string
		err  error
		want chat.Kind
	}{
		{"foreign", foreign, chat.Internal},
		{"with a kind", chat.Wrap(chat.ReadOnly, "driver.room", foreign), chat.ReadOnly},
		{"not found", &chat.Error{Kind: chat.NotFound, Text: "for the asker", RetryAfter: 7}, chat.NotFound},
		{"a deadline of its own", context.DeadlineExceeded, chat.Unavailable},
	} {
		r := reader(t, nil, func(context.Context) (chat.Room, error) { return chat.Room{}, c.err })
		_, err := r.Room(t.Context(), "r")
		var e *chat.Error
		if !errors.As(err, &e) || e.Kind != c.want || e.Op != "store.room" || e.Subject != "one" || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want == chat.NotFound && (e.Text != "for the asker" || e.RetryAfter != 7) {
			t.Errorf("what the driver says for the asker is lost: %+v", e)
		}
	}
}

func TestCallsHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reader(t, nil, func(ctx context.Context) (chat.Room, error) {
			<-ctx.Done()
			return chat.Room{}, errors.New("interrupted")
		})
		start := time.Now()
		if _, err := r.Room(t.Context(), "r"); chat.KindOf(err) != chat.Unavailable {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != defaultCall {
			t.Errorf("it took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the caller's is shorter
		defer cancel()
		if _, err := r.Room(ctx, "r"); chat.KindOf(err) != chat.Unavailable {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != defaultCall+time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// What says where a lane stands, or who owns it, has a shorter bound than the rest.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &silent{}
		s, err := New(NewMap([]string{"one"}), []Driver{d}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		shard := s.Shards()[0]
		took := func(what string, want time.Duration, call func() error) {
			t.Helper()
			start := time.Now()
			if err := call(); chat.KindOf(err) != chat.Unavailable {
				t.Errorf("%s: %v", what, err)
			}
			if d := time.Since(start); d != want {
				t.Errorf("%s took %v, not %v", what, d, want)
			}
		}
		all := func(b Bounds) {
			t.Helper()
			took("acquire", b.Settle, func() error { _, err := shard.Acquire(t.Context(), 0); return err })
			took("lease", b.Settle, func() error { _, err := shard.Lease(t.Context(), 0, "n", time.Minute); return err })
			took("unlease", b.Settle, func() error { return shard.Unlease(t.Context(), 0, "n") })
			took("load", b.Call, func() error { _, err := shard.Load(t.Context(), &Need{}); return err })
			took("commit", b.Call, func() error { return shard.Commit(t.Context(), 0, Position{}, &Changes{}) })
		}
		all(Bounds{10 * time.Second, 5 * time.Second})
		s.Bound(Bounds{Call: 3 * time.Second, Settle: time.Second})
		all(Bounds{3 * time.Second, time.Second})
	})
}

// silent answers nothing.
type silent struct{ Driver }

func (silent) wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (s silent) Acquire(ctx context.Context, _ LaneID) (Position, error) {
	return Position{}, s.wait(ctx)
}
func (s silent) Lease(ctx context.Context, _ LaneID, _ string, _ time.Duration) (Lease, error) {
	return Lease{}, s.wait(ctx)
}
func (s silent) Unlease(ctx context.Context, _ LaneID, _ string) error { return s.wait(ctx) }
func (s silent) Load(ctx context.Context, _ *Need) (*State, error)     { return nil, s.wait(ctx) }
func (s silent) Commit(ctx context.Context, _ LaneID, _ Position, _ *Changes) error {
	return s.wait(ctx)
}

// A database is unreachable from a call that it does not answer until one that it does,
// or until that is long ago. What the caller gave up says nothing.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error
		r := reader(t, nil, func(context.Context) (chat.Room, error) { return chat.Room{}, answer })
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		call := func(ctx context.Context, err error, want bool) {
			t.Helper()
			answer = err
			_, _ = r.Room(ctx, "r") // what it says of the database is looked at
			if got := r.Unreachable() != nil; got != want {
				t.Errorf("after %v it is unreachable: %v", err, got)
			}
		}
		gone := chat.E(chat.Unavailable, "gone")
		call(t.Context(), nil, false)
		call(cancelled, gone, false)
		call(t.Context(), gone, true)
		call(cancelled, gone, true)
		call(t.Context(), chat.E(chat.NotFound, ""), false)
		call(t.Context(), context.DeadlineExceeded, true)
		call(t.Context(), chat.E(chat.ReadOnly, ""), false)
		call(t.Context(), gone, true)
		time.Sleep(unheardFor)
		if err := r.Unreachable(); err != nil {
			t.Errorf("after %v without a call: %v", unheardFor, err)
		}
	})
}

func TestCallsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	var answer error
	r := reader(t, reg, func(context.Context) (chat.Room, error) { return chat.Room{}, answer })
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx context.Context
		err error
	}{
		{t.Context(), nil},
		{t.Context(), chat.E(chat.NotFound, "")},    // no failure
		{cancelled, errors.New("interrupted")},      // the caller's doing
		{t.Context(), chat.E(chat.Fenced, "")},      // a word of its own
		{t.Context(), chat.E(chat.Unavailable, "")}, // is another
		{t.Context(), errors.New("broken")},
	} {
		answer = c.err
		_, err := r.Room(c.ctx, "r")
		if (err == nil) != (c.err == nil) {
			t.Errorf("%v is %v", c.err, err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetHistogram().GetSampleCount() + uint64(m.GetCounter().GetValue())
		}
	}
	want := map[string]uint64{
		"roomtide_store_call_seconds room one":             6,
		"roomtide_store_errors_total fenced room one":      1,
		"roomtide_store_errors_total unavailable room one": 1,
		"roomtide_store_errors_total internal room one":    1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

// BenchmarkCall is what Store adds to one call.
func BenchmarkCall(b *testing.B) {
	d := &fakeDriver{room: func(context.Context) (chat.Room, error) { return chat.Room{}, nil }}
	s, err := New(NewMap([]string{"one"}), []Driver{d}, nil, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Room("r").Room(ctx, "r"); err != nil {
			b.Fatal(err)
		}
	}
}
