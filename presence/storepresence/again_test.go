package storepresence_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/storepresence"
	"github.com/roomtide/roomtide/store"
)

var errUnavailable = errors.New("unavailable")

// What the lanes do not take is counted and written again, with what waited behind it, and
// the answer is the same meanwhile.
func TestWrittenAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.open("local")
		var users []chat.UserID
		for i := range 2*portion + 1 {
			users = append(users, chat.UserID(fmt.Sprintf("user%03d", i)))
		}
		r.Persist(on("r", users...))
		w.set(false, errUnavailable)
		w.pass(2*period + time.Second)
		w.wantMetrics("refused", 2*portion+1, 0, 0)
		w.wantOnline("refused", r, users...)
		w.pass(period)
		w.wantMetrics("refused again", 2*portion+1, 0, 0)
		if got := w.metrics()[failedTotal]; got != 2*(2*portion+1) {
			t.Errorf("%v have failed", got)
		}
		w.set(false, nil)
		w.pass(period)
		w.wantStored("taken", 2*portion+1)
		w.wantOnline("taken", r, users...)
		w.wantMetrics("taken", 0, 0, 0)
	}, "local")
}

// Of a change that waits to be written again it is not known whether it was written: a newer
// one of the user is written in its place, whenever it came.
func TestNewerThanWhatHasFailed(t *testing.T) {
	none := func(*storepresence.Record) {}
	persist := func(lists ...[]presence.Change) func(*storepresence.Record) {
		return func(r *storepresence.Record) {
			for _, cs := range lists {
				r.Persist(cs)
			}
		}
	}
	in, out := on("r", "ann"), off("r", "ann")
	for _, c := range []struct {
		name          string
		stored        bool // at first
		during, after func(*storepresence.Record)
		on            bool // in the end
	}{
		{"off while on is written", false, persist(out), none, false},
		{"off and on while on is written", false, persist(out, in), none, true},
		{"off after on has failed", false, none, persist(out), false},
		{"off and on after on has failed", false, none, persist(out, in), true},
		{"off while on is written, on later", false, persist(out), persist(in), true},
		{"on while off is written", true, persist(in), none, true},
		{"on after off has failed", true, none, persist(in), true},
		{"on and off after off has failed", true, none, persist(in, out), false},
		{"on while off is written, off later", true, persist(in), persist(out), false},
	} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", written ", written), func(t *testing.T) {
				inBubble(t, func(w *world) {
					r := w.open("local")
					if c.stored {
						r.Persist(in)
						w.pass(2*period + time.Second)
						r.Persist(out)
					} else {
						r.Persist(in)
					}
					w.mu.Lock()
					w.written = written
					w.mu.Unlock()
					w.set(true, errUnavailable)
					w.pass(2 * period) // it is being written
					c.during(r)
					w.set(false, nil)
					w.release() // and has failed
					c.after(r)
					want, stored := []chat.UserID{}, 0
					if c.on {
						want, stored = append(want, "ann"), 1
					}
					w.wantOnline("failed", r, want...)
					w.pass(3*period + time.Second)
					w.wantStored("in the end", stored)
					w.wantOnline("in the end", r, want...)
					w.wantMetrics("in the end", 0, w.metrics()["roomtide_presence_store_cancelled_total"], 0)
				}, "local")
			})
		}
	}
}

// What a shard has not taken is written to the one that the room was moved to meanwhile.
func TestMovedAndFailed(t *testing.T) {
	for _, early := range []bool{true, false} {
		inBubble(t, func(w *world) {
			r := w.open("local")
			room := w.roomIn(0)
			r.Persist(on(room, "ann"))
			w.set(true, errUnavailable)
			w.pass(2*period + time.Second) // it is being written
			w.set(false, nil)
			if !early {
				w.release()
			}
			var slots store.SlotSet
			slots.Add(room.Slot())
			if err := w.store.Assign(w.Context(), &slots, 1, w.store.MapVersion()); err != nil {
				t.Fatal(err)
			}
			w.release()
			if users, n, err := r.Online(w.Context(), room, 10); err != nil || n != 1 || users[0] != "ann" {
				t.Errorf("moved early %v: %v of %d, %v", early, users, n, err)
			}
			w.pass(2 * period)
			w.wantIn(fmt.Sprint("moved early ", early), 1, room, "ann")
			w.wantMetrics("in the end", 0, 0, 0)
		}, "local")
	}
}

// What an earlier life of the node has written is removed as soon as the lanes take that, and
// before this life writes.
func TestClearedLater(t *testing.T) {
	inBubble(t, func(w *world) {
		first := w.open("local")
		first.Persist(on("r", "ann"))
		w.pass(2*period + time.Second)
		first.Close()
		w.reg = prometheus.NewRegistry()
		w.set(false, errUnavailable)
		r := w.open("local")
		r.Persist(on("r", "bob"))
		w.pass(3*period + time.Second)
		w.wantStored("refused", 1)
		w.set(false, nil)
		w.pass(4 * period)
		w.wantOnline("taken", r, "bob")
		w.wantStored("taken", 1)
		w.wantMetrics("taken", 0, 0, 0)
	}, "local")
}
