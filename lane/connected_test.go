package lane_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// facts are those that the commits of the user's shard have found out since the position,
// and the position after them.
func (w *world) facts(user chat.UserID, from int64) (facts []string, to int64) {
	w.t.Helper()
	entries, err := w.store.User(user).Outbox(w.t.Context(), 0, from, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		for _, f := range e.Facts {
			s := fmt.Sprint(f.Kind, " ", f.User)
			if f.Push != nil {
				s += fmt.Sprintf(" %+v", *f.Push)
			}
			facts = append(facts, s)
		}
		from = e.Position
	}
	return facts, from
}

// A user is online with the first node and offline without the last one; what is said again
// changes nothing, and a restart forgets nothing.
func TestConnected(t *testing.T) {
	w := newWorld(t)
	at := int64(0)
	say := func(node string, on, changes bool, want ...string) {
		t.Helper()
		var got []string
		if changed := w.must(&change.Connected{User: "ann", Node: node, On: on}).Changed; changed != changes {
			t.Errorf("%s %v: changed is %v", node, on, changed)
		}
		if got, at = w.facts("ann", at); !slices.Equal(got, want) {
			t.Errorf("%s %v: %q, want %q", node, on, got, want)
		}
	}
	say("b", false, false)
	say("b", true, true, "1 ann")
	say("b", true, false)
	say("a", true, true)
	say("b", false, true)
	w.close()
	w.open()
	say("b", false, false)
	say("a", false, true, "2 ann")
	say("a", true, true, "1 ann")
}

// A notification that was given up is a fact, once, with the provider of the device.
func TestDeadPushIsAFact(t *testing.T) {
	w := newPushWorld(t)
	_, at := w.facts("ann", 0)
	w.notify(7, false)
	for _, j := range w.jobs("ann") {
		if j.Device == "tablet" {
			w.must(&change.DropDevice{User: "ann", Device: "tablet"})
			continue
		}
		dead := &change.Pushed{User: "ann", Topic: j.Topic, Device: j.Device, Made: j.Made, Outcome: change.PushFailed, Due: 1, Attempts: 3, Reason: "rejected"}
		w.must(dead)
		w.must(dead)
	}
	facts, _ := w.facts("ann", at)
	want := fmt.Sprintf("%d ann %+v", store.FactPushDead, chat.DeadPush{User: "ann", Room: "r", Seq: 7, Device: "phone", Provider: "fcm", Reason: "rejected", Attempts: 3})
	if !slices.Equal(facts, []string{want}) {
		t.Errorf("%q, want %q", facts, want)
	}
}

func TestLanguageOfADevice(t *testing.T) {
	w := newWorld(t)
	c := register("ann", "phone", "a", 5)
	for i, language := range []string{"zh", "en", ""} {
		c := *c
		c.Language, c.At = language, int64(5+i)
		w.must(&c)
		devices, err := w.store.User("ann").Devices(t.Context(), "ann")
		if err != nil || len(devices) != 1 || devices[0].Language != language || devices[0].Registered != 5 {
			t.Errorf("%q: %+v %v", language, devices, err)
		}
	}
}
