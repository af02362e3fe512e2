package engine

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

// What is spent of each rate on one node is missing on another one that has heard of it.
func TestRatesAreShared(t *testing.T) {
	r := Rate{PerSecond: 1, Burst: 2}
	all := Rates{User: r, Room: r, Join: r, Signal: r, Read: r, GuestChange: r, GuestJoin: r, GuestRoom: r}
	now := func() time.Time { return time.Unix(1e9, 0) }
	a := &Engine{rates: newRates(all, true, now, nil)}
	b := &Engine{rates: newRates(all, true, now, nil)}
	home := netip.MustParsePrefix("2001:db8::/64")
	guest := &Actor{User: "ann", Network: &home}
	for range 2 {
		for _, err := range []error{a.rates.change(guest, "lobby"), a.rates.joins(guest), a.rates.signal.Take("ann"), byNetwork(a.rates.guestRoom, guest)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	a.rates.read.Spend("ann", 2)
	spent := a.Spent()
	want := limit.Spent{
		"user": {"ann": 2}, "room": {"lobby": 2}, "join": {"ann": 2}, "signal": {"ann": 2}, "read": {"ann": 2},
		"guest_change": {home.String(): 2}, "guest_join": {home.String(): 2}, "guest_room": {home.String(): 2},
	}
	if !reflect.DeepEqual(spent, want) {
		t.Errorf("spent %v, want %v", spent, want)
	}
	spent["a rate of later"] = map[string]int{"x": 1}
	spent["guest_join"]["no network"] = 1
	b.Charge(spent)
	for name, err := range map[string]error{
		"user": b.rates.user.Take("ann"), "room": b.rates.room.Take("lobby"), "join": b.rates.join.Take("ann"),
		"signal": b.rates.signal.Take("ann"), "read": b.rates.read.Check("ann"),
		"guest_change": b.rates.guestChange.Take(home), "guest_join": b.rates.guestJoin.Take(home), "guest_room": b.rates.guestRoom.Take(home),
	} {
		if chat.KindOf(err) != chat.RateLimited {
			t.Errorf("%s: %v, want that it is spent", name, err)
		}
	}
	if got := b.Spent(); len(got) != 0 {
		t.Errorf("what was heard is told again: %v", got)
	}
	alone := &Engine{rates: newRates(all, false, now, nil)}
	if err := alone.rates.change(guest, "lobby"); err != nil {
		t.Fatal(err)
	}
	if got := alone.Spent(); len(got) != 0 {
		t.Errorf("a node alone keeps %v", got)
	}
}
