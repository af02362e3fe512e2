package lane_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

func (w *world) devices(user chat.UserID) (ids []string) {
	w.t.Helper()
	devices, err := w.store.User(user).Devices(w.t.Context(), user)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range devices {
		ids = append(ids, fmt.Sprintf("%s %s %d %d", d.ID, d.Address, d.Registered, d.Seen))
	}
	return ids
}

func (w *world) wantDevices(what string, user chat.UserID, want ...string) {
	w.t.Helper()
	if got := w.devices(user); !slices.Equal(got, want) {
		w.t.Errorf("%s: %s has %q, want %q", what, user, got, want)
	}
}

// follow applies what follows from the commits since the last call, as a consumer of the
// outbox does.
func (w *world) follow(from map[int]int64) {
	w.t.Helper()
	for again := true; again; {
		again = false
		for n, s := range w.store.Shards() {
			entries, err := s.Outbox(w.t.Context(), 0, from[n], 1000)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, e := range entries {
				from[n] = e.Position
				for _, b := range e.Onward {
					c, err := change.Decode(b)
					if err != nil {
						w.t.Fatal(err)
					}
					again = true
					w.must(c)
					w.must(c) // at least once
				}
			}
		}
	}
}

func register(user chat.UserID, device, address string, at int64) *change.RegisterDevice {
	return &change.RegisterDevice{User: user, Device: device, Provider: "fcm", Address: address, At: at}
}

func TestDevices(t *testing.T) {
	w := newWorld(t)
	w.must(register("ann", "phone", "a", 5))
	w.must(register("ann", "phone", "a", 7))
	w.must(register("ann", "phone", "b", 6)) // comes late
	w.wantDevices("seen again", "ann", "phone a 5 7")
	w.must(register("ann", "phone", "b", 8))
	w.wantDevices("another address", "ann", "phone b 8 8")
	w.must(register("ann", "new", "b", 9))
	w.wantDevices("installed again", "ann", "new b 9 9")

	digest := chat.AddressDigest("fcm", "b")
	for _, c := range []change.DropDevice{{Device: "other"}, {Device: "new", Digest: "x"}, {Device: "new", Before: 9}, {Device: "new", Digest: digest, Before: 9}} {
		c.User = "ann"
		if w.must(&c).Changed {
			t.Errorf("%+v deletes", c)
		}
	}
	w.must(&change.Notify{User: "ann", Room: "r", Seq: 1})
	w.must(&change.DropDevice{User: "ann", Device: "new", Digest: digest, Before: 10})
	w.wantDevices("dropped", "ann")
	if jobs := w.jobs("ann"); len(jobs) != 0 {
		t.Errorf("jobs of a device that is gone: %+v", jobs)
	}
}

func TestTheOldestDeviceGoes(t *testing.T) {
	w := newWorld(t)
	for i := range chat.MaxDevices {
		w.must(register("ann", fmt.Sprint("d", i), fmt.Sprint("a", i), int64(10+i)))
	}
	w.must(register("ann", "d0", "a0", 100)) // d1 is the oldest now
	if got := w.devices("ann"); len(got) != chat.MaxDevices {
		t.Fatalf("%d devices", len(got))
	}
	w.must(register("ann", "one more", "x", 101))
	got := w.devices("ann")
	if len(got) != chat.MaxDevices || slices.Contains(got, "d1 a1 11 11") || !slices.Contains(got, "d0 a0 10 100") {
		t.Errorf("%q", got)
	}
}

// A phone that changes hands is taken from the former user, whatever comes twice or late.
func TestAnAddressHasOneOwner(t *testing.T) {
	w, from := newWorld(t), map[int]int64{}
	w.must(register("ann", "phone", "a", 5))
	w.follow(from)
	w.must(register("bob", "phone", "a", 6))
	w.wantDevices("before", "ann", "phone a 5 5")
	w.follow(from)
	w.wantDevices("after", "ann")
	w.wantDevices("after", "bob", "phone a 6 6")

	w.must(register("ann", "phone", "a", 7)) // back again, before bob's is followed
	w.must(register("bob", "phone", "a", 8))
	w.must(register("ann", "phone", "a", 9))
	w.follow(from)
	w.wantDevices("the last", "ann", "phone a 7 9")
	w.wantDevices("the last", "bob")

	w.must(register("cem", "phone", "a", 4)) // late
	w.follow(from)
	w.wantDevices("late", "ann", "phone a 7 9")
	w.wantDevices("late", "cem")

	w.must(register("ann", "phone", "b", 10)) // a has no owner now
	w.follow(from)
	w.must(register("cem", "phone", "a", 11))
	w.must(&change.DropDevice{User: "ann", Device: "phone"})
	w.follow(from)
	w.wantDevices("free", "cem", "phone a 11 11")
	key := store.RowKey{Table: store.TablePushOwners, ID: chat.AddressDigest("fcm", "b")}
	rows, err := w.store.RowsByKey(t.Context(), []store.RowKey{key})
	if err != nil || rows.Len() != 0 {
		t.Errorf("an address that nobody has: %+v %v", rows, err)
	}
}
