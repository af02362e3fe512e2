package notify

import (
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// What follows from each action of the table of docs/push.md.
func TestVerdict(t *testing.T) {
	s := NewSender(SenderConfig{})
	now := time.Now().UnixMilli()
	minute := time.Minute.Milliseconds()
	job := func(attempts int, reason string) *store.PushJob {
		return &store.PushJob{User: "ann", Topic: store.RoomTopic("r"), Device: "phone", Attempts: attempts, Reason: reason, Expires: now + 60*minute}
	}
	d := &chat.Device{User: "ann", ID: "phone", Provider: "fcm", Address: "x"}
	for _, c := range []struct {
		name     string
		j        *store.PushJob
		o        push.Outcome
		want     change.PushOutcome
		attempts int
		from, to int64 // bounds of Due, from now
	}{
		{"delivered", job(0, ""), push.Outcome{Action: push.Delivered}, change.PushSent, 0, 0, 0},
		{"rejected", job(2, "network"), push.Outcome{Action: push.Rejected, Reason: "bad"}, change.PushFailed, 3, deadLife.Milliseconds(), deadLife.Milliseconds()},
		{"first retry", job(0, ""), push.Outcome{Action: push.Pause, Reason: "network"}, change.PushLater, 1, 5000, 6300},
		{"fourth retry", job(3, "network"), push.Outcome{Action: push.Retry, Reason: "network"}, change.PushLater, 4, 40_000, 50_100},
		{"as the service says", job(3, ""), push.Outcome{Action: push.Pause, Reason: "UNAVAILABLE", After: 10 * time.Minute}, change.PushLater, 4, 10 * minute, 13 * minute},
		{"no attempt", job(3, "network"), push.Outcome{Action: push.Pause, Reason: "paused", After: time.Minute}, change.PushLater, 3, minute, 76_000},
		{"many attempts", job(40, "network"), push.Outcome{Action: push.Pause, Reason: "network"}, change.PushLater, 41, 15 * minute, 19 * minute},
		{"beyond its life", job(1, "network"), push.Outcome{Action: push.Pause, Reason: "network", After: time.Hour}, change.PushFailed, 2, deadLife.Milliseconds(), deadLife.Milliseconds()},
		{"expired, never tried", job(0, ""), push.Outcome{Action: push.Expired, Reason: "expired"}, change.PushGone, 0, 0, 0},
		{"expired, tried", job(3, "network"), push.Outcome{Action: push.Expired, Reason: "expired"}, change.PushFailed, 3, deadLife.Milliseconds(), deadLife.Milliseconds()},
	} {
		cs := s.verdict(c.j, d, &c.o, now)
		p, ok := cs[0].(*change.Pushed)
		if !ok || len(cs) != 1 || p.Outcome != c.want || p.Attempts != c.attempts {
			t.Errorf("%s: %+v", c.name, cs[0])
			continue
		}
		if c.to > 0 && (p.Due-now < c.from || p.Due-now > c.to) {
			t.Errorf("%s: due in %d ms", c.name, p.Due-now)
		}
	}
}

// A device that is gone is deleted, unless its address was given again since; then its job
// is tried again.
func TestDeadDevices(t *testing.T) {
	s := NewSender(SenderConfig{})
	now := time.Now()
	d := &chat.Device{User: "ann", ID: "phone", Provider: "apns", Address: "x"}
	j := &store.PushJob{User: "ann", Device: "phone", Expires: now.Add(time.Hour).UnixMilli()}
	since := now.Add(-time.Hour)
	cs := s.verdict(j, d, &push.Outcome{Action: push.Dead, Reason: "Unregistered", Since: since}, now.UnixMilli())
	drop, ok := cs[0].(*change.DropDevice)
	if !ok || drop.User != "ann" || drop.Device != "phone" || drop.Digest != d.Digest() || drop.Before != since.UnixMilli() {
		t.Errorf("%+v", cs[0])
	}
	if p, ok := cs[1].(*change.Pushed); !ok || p.Outcome != change.PushLater {
		t.Errorf("%+v", cs[1])
	}
}
