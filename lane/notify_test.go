package lane_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// pushWorld is a world with a clock that the test moves, and two devices of ann, who is in
// a room.
type pushWorld struct {
	*world
	at time.Time
}

func newPushWorld(t *testing.T) *pushWorld { return newPushWorldOf(t, &world{}) }

func newPushWorldOf(t *testing.T, base *world) *pushWorld {
	base.t, base.dir = t, t.TempDir()
	w := &pushWorld{world: base, at: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	w.now = func() time.Time { return w.at }
	w.open()
	t.Cleanup(w.close)
	w.must(&change.Project{Member: chat.Member{Room: "r", User: "ann", Role: chat.RoleMember, Rev: 1}})
	for i, id := range []string{"phone", "tablet"} {
		w.must(&change.RegisterDevice{User: "ann", Device: id, Provider: "fcm", Address: id, At: int64(i + 1)})
	}
	return w
}

// jobs are those of a user, by topic and device.
func (w *world) jobs(user chat.UserID) []store.PushJob {
	w.t.Helper()
	jobs, err := w.store.User(user).DuePushJobs(w.t.Context(), 0, math.MaxInt64, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	jobs = slices.DeleteFunc(jobs, func(j store.PushJob) bool { return j.User != user })
	slices.SortFunc(jobs, func(a, b store.PushJob) int { return store.KeyOf(&a).Compare(store.KeyOf(&b)) })
	return jobs
}

// want compares the jobs of ann, by what String-like words say of them.
func (w *pushWorld) want(what string, want ...string) {
	w.t.Helper()
	var got []string
	for _, j := range w.jobs("ann") {
		s := fmt.Sprintf("%s %s %s %d in %d ms", j.Topic, j.Device, j.State, j.Seq, j.Due-w.at.UnixMilli())
		for word, is := range map[string]bool{" shown": j.Shown, " silent": j.Silent} {
			if is {
				s += word
			}
		}
		if j.Mention {
			s += " mention"
		}
		got = append(got, s)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func (w *pushWorld) notify(seq chat.Seq, mention bool) bool {
	w.t.Helper()
	return w.must(&change.Notify{User: "ann", Room: "r", Seq: seq, Mention: mention, Delay: 3000, Life: 100_000}).Changed
}

// sent says that all jobs that are due were sent.
func (w *pushWorld) sent() {
	w.t.Helper()
	for _, j := range w.jobs("ann") {
		if j.State == store.PushWaiting && j.Due <= w.at.UnixMilli() {
			w.must(&change.Pushed{User: j.User, Topic: j.Topic, Device: j.Device, Made: j.Made, Outcome: change.PushSent})
		}
	}
}

func (w *pushWorld) pass(ms int64) { w.at = w.at.Add(time.Duration(ms) * time.Millisecond) }

// Messages of a room collapse to the newest until they are sent; then each is one more
// notification. What comes again changes nothing.
func TestJobsOfARoomCollapse(t *testing.T) {
	w := newPushWorld(t)
	w.notify(1, true)
	w.want("one", "room:r phone waiting 1 in 3000 ms mention", "room:r tablet waiting 1 in 3000 ms mention")
	w.pass(1000)
	w.notify(3, false)
	w.notify(2, false) // late
	w.want("three", "room:r phone waiting 3 in 2000 ms mention", "room:r tablet waiting 3 in 2000 ms mention")
	w.pass(2000)
	w.sent()
	w.want("sent", "room:r phone sent 3 in 101000 ms shown mention", "room:r tablet sent 3 in 101000 ms shown mention")
	if w.notify(3, true) {
		t.Error("a message that was sent is notified again")
	}
	w.notify(4, false)
	w.want("a fourth", "room:r phone waiting 4 in 3000 ms shown", "room:r tablet waiting 4 in 3000 ms shown")
}

// A message that was read on one device is not pushed to another; what a device shows
// already lowers its badge without a sound.
func TestReadEndsJobs(t *testing.T) {
	w := newPushWorld(t)
	w.notify(1, false)
	w.must(&change.Read{User: "ann", Room: "r", Seq: 1})
	w.want("read in time")
	if w.notify(1, false) {
		t.Error("what is read is notified")
	}
	w.notify(2, false)
	w.pass(3000)
	w.sent()
	w.notify(3, false)
	w.notify(2, false)
	w.must(&change.Read{User: "ann", Room: "r", Seq: 2})
	w.want("not all is read", "room:r phone waiting 3 in 3000 ms shown", "room:r tablet waiting 3 in 3000 ms shown")
	w.must(&change.Read{User: "ann", Room: "r", Seq: 3})
	w.want("all is read", "room:r phone waiting 3 in 1000 ms silent", "room:r tablet waiting 3 in 1000 ms silent")
	w.must(&change.Read{User: "ann", Room: "r", Seq: 4})
	w.want("more is read", "room:r phone waiting 3 in 1000 ms silent", "room:r tablet waiting 3 in 1000 ms silent")
	w.pass(1000)
	w.sent()
	w.want("the badge is sent")

	// While a message is being sent it is read: whether it will be shown is not known.
	w.notify(5, false)
	w.pass(3000)
	made := w.jobs("ann")[0].Made
	w.must(&change.Read{User: "ann", Room: "r", Seq: 5})
	w.want("read at the same time", "room:r phone waiting 5 in 1000 ms silent", "room:r tablet waiting 5 in 1000 ms silent")
	w.must(&change.Pushed{User: "ann", Topic: "room:r", Device: "phone", Made: made, Outcome: change.PushSent})
	w.notify(6, false)
	w.want("and the next", "room:r phone waiting 6 in 3000 ms shown", "room:r tablet waiting 6 in 3000 ms")

	w.must(&change.Project{Member: chat.Member{Room: "r", User: "ann", Rev: 9}, Seq: 6})
	w.want("left", "room:r phone waiting 6 in 1000 ms silent")
	if w.notify(7, true) {
		t.Error("a room that the user has left is notified")
	}
}

// Attempts that fail are made again later, also if there are new messages meanwhile; dead
// letters are kept, and made again on request.
func TestOutcomes(t *testing.T) {
	w := newPushWorld(t)
	w.must(&change.DropDevice{User: "ann", Device: "tablet"})
	w.notify(1, false)
	w.pass(3000)
	job := w.jobs("ann")[0]
	outcome := change.Pushed{User: "ann", Topic: job.Topic, Device: job.Device, Made: job.Made, Reason: "network"}
	say := func(o change.PushOutcome, due int64) {
		c := outcome
		c.Outcome, c.Due, c.Attempts = o, w.at.UnixMilli()+due, c.Attempts+1
		w.must(&c)
	}
	say(change.PushLater, 60_000)
	w.notify(2, false)
	w.want("later", "room:r phone waiting 2 in 60000 ms")
	if job = w.jobs("ann")[0]; job.Attempts != 1 || job.Reason != "network" {
		t.Errorf("the attempts are forgotten: %+v", job)
	}
	say(change.PushFailed, 5)
	w.want("an outcome of the first one", "room:r phone waiting 2 in 60000 ms")
	outcome.Made = job.Made
	say(change.PushFailed, 70_000)
	w.want("dead", "room:r phone dead 2 in 70000 ms")
	dead, _, err := w.store.User("ann").DeadPushJobs(t.Context(), store.PushJobKey{}, 9)
	if err != nil || len(dead) != 1 || dead[0].Seq != 2 {
		t.Errorf("dead letters: %+v %v", dead, err)
	}
	outcome.Expires = w.at.UnixMilli() + 80_000
	say(change.PushLater, 0)
	w.want("again", "room:r phone waiting 2 in 0 ms")
	if job := w.jobs("ann")[0]; job.Expires != outcome.Expires {
		t.Errorf("it expires at %d", job.Expires)
	}
	say(change.PushFailed, 70_000)
	w.notify(3, false)
	w.want("a new message follows a dead one", "room:r phone waiting 3 in 3000 ms")
	outcome.Made = w.jobs("ann")[0].Made
	say(change.PushGone, 0)
	w.want("gone")
}

func TestSettingsDecideWhoIsNotified(t *testing.T) {
	all, mentions, none, inherited := chat.PushAll, chat.PushMentions, chat.PushNone, chat.PushDefault
	w := newPushWorld(t)
	seq := chat.Seq(0)
	set := func(room chat.RoomID, level *chat.PushLevel, mute int64) chat.PushSettings {
		return w.must(&change.SetPush{User: "ann", Room: room, Level: level, MuteUntil: &mute}).Push
	}
	check := func(what string, plain, mentioned bool) {
		t.Helper()
		for mention, want := range map[bool]bool{false: plain, true: mentioned} {
			seq++
			if got := w.notify(seq, mention); got != want {
				t.Errorf("%s, mention %v: notified %v", what, mention, got)
			}
		}
	}
	check("at first", true, true)
	set("", &mentions, 0)
	check("mentions", false, true)
	set("r", &all, 0)
	check("all of this room", true, true)
	set("r", &none, 0)
	check("none of this room", false, false)
	if s := set("r", &inherited, 0); !s.Zero() {
		t.Errorf("%+v", s)
	}
	check("mentions again", false, true)
	set("", &none, 0)
	check("none", false, false)
	set("", &all, w.at.UnixMilli()+1)
	check("muted", false, false)
	w.pass(1)
	check("not any more", true, true)
	set("r", nil, w.at.UnixMilli()+1)
	check("this room is muted", false, false)
	kept, err := w.store.User("ann").PushSettings(t.Context(), "ann", "", 9)
	if err != nil || len(kept) != 2 {
		t.Errorf("settings: %+v %v", kept, err)
	}
}

func TestQuietHoursPutJobsOff(t *testing.T) {
	w := newPushWorld(t)
	w.must(&change.DropDevice{User: "ann", Device: "tablet"})
	from, to, zone := 22*60, 7*60, "Asia/Shanghai"
	w.must(&change.SetPush{User: "ann", QuietFrom: &from, QuietTo: &to, TimeZone: &zone})
	w.notify(1, false) // 20:00 there
	w.want("in the evening", "room:r phone waiting 1 in 3000 ms")
	w.pass(3000)
	w.sent()
	w.at = w.at.Truncate(time.Hour).Add(3 * time.Hour) // 23:00
	w.notify(2, false)
	w.want("in the night", fmt.Sprint("room:r phone waiting 2 in ", 8*3600*1000, " ms shown"))
	w.pass(3600 * 1000)
	w.notify(3, true)
	w.want("later that night", fmt.Sprint("room:r phone waiting 3 in ", 7*3600*1000, " ms shown mention"))
}

// An attempt that failed is not made again in quiet hours, nor is the first one of a message that
// comes meanwhile; what makes no sound is. The time to live does not run out by it.
func TestQuietHoursPutRetriesOff(t *testing.T) {
	const minute, hour = 60 * 1000, 3600 * 1000
	from, to := 12*60+2, 21*60+2 // it is 12:00
	const end = 9*hour + 2*minute - 3000
	for _, c := range []struct {
		name      string
		silent    bool
		setLate   bool // quiet hours are set when the job waits for its next attempt
		message   bool // comes then
		expires   int64
		due, left int64
	}{
		{"a retry", false, false, false, 0, end, 100_000 - 2*minute},
		{"a retry, and a message", false, false, true, 0, end, 100_000},
		{"a retry before the hours are set, and a message", false, true, true, 0, end, 100_000},
		{"a dead letter", false, false, false, 3 * minute, end, minute},
		{"a badge", true, false, false, 0, 2 * minute, 24*hour - 2*minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newPushWorld(t)
			w.must(&change.DropDevice{User: "ann", Device: "tablet"})
			hours := func() { w.must(&change.SetPush{User: "ann", QuietFrom: &from, QuietTo: &to}) }
			if !c.setLate {
				hours()
			}
			w.notify(1, false)
			w.pass(3000)
			if c.silent {
				w.must(&change.Read{User: "ann", Room: "r", Seq: 1})
			}
			job := w.jobs("ann")[0]
			later := change.Pushed{User: "ann", Topic: job.Topic, Device: job.Device, Made: job.Made, Outcome: change.PushLater,
				Due: w.at.UnixMilli() + 2*minute, Attempts: 1, Reason: "network"}
			if c.expires != 0 {
				later.Expires = w.at.UnixMilli() + c.expires
			}
			w.must(&later)
			if w.must(&later).Changed {
				t.Error("the second time has changed something")
			}
			if c.setLate {
				hours()
			}
			if c.message {
				w.notify(2, false)
			}
			job = w.jobs("ann")[0]
			if due, left := job.Due-w.at.UnixMilli(), job.Expires-job.Due; due != c.due || left != c.left {
				t.Errorf("due in %d ms, and to live for %d, want %d and %d", due, left, c.due, c.left)
			}
		})
	}
}

// The host's own notifications go the same way, each by itself unless they have one name.
func TestNotices(t *testing.T) {
	w := newPushWorld(t)
	w.must(&change.DropDevice{User: "ann", Device: "tablet"})
	say := func(name, title string) (change.Reply, error) {
		return w.do(&change.Notify{User: "ann", Notice: &chat.Notice{Name: name, Title: title, Text: "x", Data: `{"a":"b"}`}, Life: 1000})
	}
	for range 2 {
		if _, err := say("order", "sent"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := say("other", "hello"); err != nil {
		t.Fatal(err)
	}
	w.want("two", "host:order phone waiting 0 in 0 ms", "host:other phone waiting 0 in 0 ms")
	w.sent()
	if r, err := say("order", "sent"); err != nil || r.Changed {
		t.Errorf("a notice that was sent is sent again: %+v %v", r, err)
	}
	if _, err := say("order", "there"); err != nil {
		t.Fatal(err)
	}
	w.want("one more", "host:order phone waiting 0 in 0 ms shown", "host:other phone sent 0 in 1000 ms shown")
	if j := w.jobs("ann")[0]; j.Title != "there" || j.Text != "x" || j.Data != `{"a":"b"}` {
		t.Errorf("%+v", j)
	}
	for i := range 98 {
		if _, err := say(fmt.Sprint(i), "x"); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := say("too many", "x"); chat.KindOf(err) != chat.Busy || change.IsFull(err) {
		t.Errorf("the 101st notice: %v", err)
	}
	if _, err := say("order", "news"); err != nil {
		t.Errorf("one that takes another's place: %v", err)
	}
}

// A user whom an edit mentions is notified once, also after a notification of the message
// itself; and not if the message was read.
func TestAnEditThatMentions(t *testing.T) {
	w := newPushWorld(t)
	edited := func(seq chat.Seq) bool {
		return w.must(&change.Notify{User: "ann", Room: "r", Seq: seq, Mention: true, Edited: true, Delay: 3000, Life: 100_000}).Changed
	}
	w.notify(1, false)
	edited(1)
	w.want("it was waiting", "room:r phone waiting 1 in 3000 ms mention", "room:r tablet waiting 1 in 3000 ms mention")
	if edited(1) {
		t.Error("the same edit twice is news")
	}
	w.pass(3000)
	w.sent()
	if edited(1) {
		t.Error("a mention that was told of is news")
	}
	w.notify(2, false)
	w.pass(3000)
	w.sent()
	edited(2)
	w.want("it was told of", "room:r phone waiting 2 in 3000 ms shown mention", "room:r tablet waiting 2 in 3000 ms shown mention")
	w.must(&change.Read{User: "ann", Room: "r", Seq: 2})
	if edited(2) || edited(1) {
		t.Error("it was read, or what follows it")
	}
}

// Jobs are counted by the provider of their device, and those that a read mark ends for all together.
func TestJobsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newPushWorldOf(t, &world{reg: reg})
	w.must(&change.RegisterDevice{User: "ann", Device: "page", Provider: "webpush", Address: "page", At: 3})
	w.notify(1, false)
	w.notify(2, false)
	w.must(&change.Read{Room: "r", User: "ann", Seq: 2})
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool { return !strings.HasPrefix(name, "roomtide_push_") })
	want := map[string]float64{
		"roomtide_push_queued_total fcm": 2, "roomtide_push_queued_total webpush": 1,
		"roomtide_push_collapsed_total fcm": 2, "roomtide_push_collapsed_total webpush": 1, "roomtide_push_read_total": 3,
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
