package notify_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/teststore"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/notify"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/store"
)

// service is a push.Provider that takes everything, but while it is down.
type service struct {
	name   string
	slow   time.Duration // how long each attempt takes
	silent bool          // it never answers

	mu       sync.Mutex
	down     bool                       // guarded by mu
	attempts int                        // guarded by mu
	taken    map[string][]taken         // by address; guarded by mu
	ids      map[string]map[string]bool // of what was taken, by address; guarded by mu
}

// taken is a notification that a service has.
type taken struct {
	text string
	at   time.Time
}

func newService(name string) *service {
	return &service{name: name, taken: map[string][]taken{}, ids: map[string]map[string]bool{}}
}

func (s *service) Name() string                         { return s.name }
func (s *service) Check(address []byte) (string, error) { return string(address), nil }
func (s *service) Service(string) string                { return "" }
func (s *service) Close() error                         { return nil }

func (s *service) Send(ctx context.Context, address string, n *push.Notification) push.Outcome {
	if s.silent {
		<-ctx.Done()
		return push.Failed(ctx, ctx.Err())
	}
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.down {
		return push.Outcome{Action: push.Pause, Reason: "unavailable"}
	}
	s.taken[address] = append(s.taken[address], taken{n.Text, time.Now()})
	if s.ids[address] == nil {
		s.ids[address] = map[string]bool{}
	}
	s.ids[address][n.ID] = true
	return push.Outcome{Action: push.Delivered, Reason: "ok"}
}

func (s *service) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// of is what the service has taken for an address.
func (s *service) of(address string) []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[address]
}

// road is a store with its lanes and a Sender, without an outbox.
type road struct {
	*testing.T
	st     *store.Store
	lanes  *lane.Lanes
	sender *notify.Sender
}

// openRoad is called in a bubble, and closed in it.
func openRoad(t *testing.T, dir string, wrap func(store.Driver) store.Driver, services ...push.Provider) *road {
	t.Helper()
	r := &road{T: t, st: teststore.Open(t, dir, 1, wrap)}
	var err error
	if r.lanes, err = lane.Open(t.Context(), lane.Config{Store: r.st, Publish: func(*bus.Batch) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	gateway, err := push.NewGateway(push.Config{Providers: services})
	if err != nil {
		t.Fatal(err)
	}
	r.sender = notify.NewSender(notify.SenderConfig{
		Store: r.st, Lanes: r.lanes, Gateway: gateway, Secret: []byte("secret"),
		Foreground: func(_ context.Context, users []chat.UserID) []bool { return make([]bool, len(users)) },
	})
	r.sender.Start(0)
	return r
}

func (r *road) close() {
	r.sender.Close(r.Context())
	r.lanes.Close()
	if err := r.st.Close(); err != nil {
		r.Error(err)
	}
}

func (r *road) do(c change.Change) change.Reply {
	r.Helper()
	reply, err := r.lanes.Do(r.Context(), c)
	if err != nil {
		r.Fatal(err)
	}
	return reply
}

// join makes members with a device of each service, whose address is the name of the user.
func (r *road) join(users []chat.UserID, services ...*service) {
	r.Helper()
	for _, u := range users {
		r.do(&change.Join{Room: "r", User: u, Create: &change.RoomSpec{Open: true}, Own: true})
		for _, s := range services {
			r.do(&change.RegisterDevice{User: u, Device: s.name, Provider: s.name, Address: string(u), At: time.Now().UnixMilli()})
		}
	}
}

// tell sends a message of ann, and has the users told of it.
func (r *road) tell(text string, life time.Duration, users ...chat.UserID) {
	r.Helper()
	seq := r.do(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: text}}).Seq
	for _, u := range users {
		r.do(&change.Notify{User: u, Room: "r", Seq: seq, Delay: delay.Milliseconds(), Life: life.Milliseconds()})
	}
}

const delay = 3 * time.Second

// A member is told whose own row of the room has not been written yet: room lists follow
// the rooms, and may be late.
func TestToldBeforeTheRoomList(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		phones := newService("phones")
		r := openRoad(t, dir, nil, phones)
		defer r.close()
		r.join([]chat.UserID{"ann", "bob", "cid"}, phones)
		r.tell("hello", time.Hour, "bob", "cid")
		r.do(&change.Leave{Room: "r", User: "cid"})
		time.Sleep(delay + time.Minute)
		if got := phones.of("bob"); len(got) != 1 || got[0].text != "hello" {
			t.Errorf("bob was told %v", got)
		}
		if got := phones.of("cid"); len(got) != 0 {
			t.Errorf("cid, who has left, was told %v", got)
		}
	})
}

// A service that is down for ten minutes delays no other one, is asked now and then, and
// gets everything that is still worth something when it is back.
func TestServiceIsDown(t *testing.T) {
	const outage, every, users = 10 * time.Minute, 20 * time.Second, 40
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		phones, browsers := newService("phones"), newService("browsers")
		r := openRoad(t, dir, nil, phones, browsers)
		defer r.close()
		var away []chat.UserID
		for i := range users {
			away = append(away, chat.UserID(fmt.Sprint("user", i)))
		}
		r.join([]chat.UserID{"ann"})
		r.join(away, phones, browsers)
		late := chat.UserID("late") // whose notification is worth something for a minute
		r.join([]chat.UserID{late}, phones)

		phones.set(true)
		r.tell("soon worthless", time.Minute, late)
		sent := map[string]time.Time{}
		last := ""
		for end := time.Now().Add(outage); time.Now().Before(end); time.Sleep(every) {
			last = fmt.Sprint("message ", len(sent))
			sent[last] = time.Now()
			r.tell(last, 24*time.Hour, away...)
		}
		for _, u := range away {
			got := browsers.of(string(u))
			if len(got) != len(sent) || len(browsers.ids[string(u)]) != len(sent) {
				t.Errorf("%s: %d of %d messages came to the service that is well", u, len(got), len(sent))
			}
			for _, n := range got {
				if late := n.at.Sub(sent[n.text]) - delay; late > time.Second {
					t.Errorf("%s: %q came %v late, as another service is down", u, n.text, late)
				}
			}
			if got := phones.of(string(u)); len(got) > 0 {
				t.Fatalf("a service that is down has taken %v", got)
			}
		}
		// Five failures in a row, and then one attempt after each pause.
		if phones.attempts < 6 || phones.attempts > 60 {
			t.Errorf("a service that is down was asked %d times", phones.attempts)
		}

		phones.set(false)
		time.Sleep(20 * time.Minute) // the longest pause, and some more
		for _, u := range away {
			got := phones.of(string(u))
			if len(got) != 1 || got[0].text != last {
				t.Errorf("%s: once the service is back it gets %v, not %q once", u, got, last)
			}
		}
		dead, _, err := r.sender.Dead(t.Context(), "", 10)
		if err != nil || len(dead) != 1 || dead[0].User != late {
			t.Errorf("dead letters: %+v, %v", dead, err)
		}
	})
}

// lateAnswers is a driver whose answers on what is due come late.
type lateAnswers struct{ store.Driver }

func (d lateAnswers) DuePushJobs(ctx context.Context, from, to int64, limit int) ([]store.PushJob, error) {
	jobs, err := d.Driver.DuePushJobs(ctx, from, to, limit)
	time.Sleep(500 * time.Millisecond)
	return jobs, err
}

// A job that is sent while what is due is being read was due when it was read: it is not
// sent again.
func TestSentWhileItIsRead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		phones := newService("phones")
		phones.slow = 700 * time.Millisecond
		r := openRoad(t, dir, func(d store.Driver) store.Driver { return lateAnswers{d} }, phones)
		defer r.close()
		var away []chat.UserID
		for i := range 20 {
			away = append(away, chat.UserID(fmt.Sprint("user", i)))
		}
		r.join(append(away, "ann"), phones)
		for _, u := range away {
			r.tell("hello "+string(u), time.Hour, u)
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for _, u := range away {
			if got := phones.of(string(u)); len(got) != 1 {
				t.Errorf("%s was told %d times: %v", u, len(got), got)
			}
		}
	})
}

// A service that takes requests and never answers holds up no other one, though more jobs wait
// for it than are worked on at a time.
func TestServiceIsSilent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		phones, browsers := newService("phones"), newService("browsers")
		phones.silent = true
		r := openRoad(t, dir, nil, phones, browsers)
		defer r.close()
		r.join([]chat.UserID{"ann"})
		var away []chat.UserID
		var all []change.Change
		for i := range 60 { // with 20 phones each
			u := chat.UserID(fmt.Sprint("user", i))
			away = append(away, u)
			all = append(all, &change.Join{Room: "r", User: u})
			for k := range 20 {
				device := fmt.Sprint("phone", k)
				all = append(all, &change.RegisterDevice{User: u, Device: device, Provider: phones.name, Address: string(u) + device, At: 1})
			}
		}
		if err := outbox.Submit(t.Context(), r.lanes, all); err != nil {
			t.Fatal(err)
		}
		r.join([]chat.UserID{"bob"}, browsers)
		r.tell("hello", time.Hour, away...)
		time.Sleep(time.Second)
		sent := time.Now()
		r.tell("and you", time.Hour, "bob")
		time.Sleep(time.Until(sent) + delay + 1500*time.Millisecond)
		if got := browsers.of("bob"); len(got) != 1 {
			t.Errorf("as another service is silent, bob was told %v", got)
		}
	})
}

// What is written to a job while it is sent is told as well, though the attempt takes long.
func TestNewsWhileItIsSent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		phones := newService("phones")
		phones.slow = 4 * time.Second
		r := openRoad(t, dir, nil, phones)
		defer r.close()
		r.join([]chat.UserID{"ann", "bob"}, phones)
		r.tell("one", time.Hour, "bob")
		time.Sleep(delay + time.Second)
		seq := r.do(&change.Send{Room: "r", User: "ann", Draft: chat.Draft{Text: "two"}}).Seq
		r.do(&change.Notify{User: "bob", Room: "r", Seq: seq, Life: time.Hour.Milliseconds()}) // due at once
		time.Sleep(phones.slow - time.Second + phones.slow + time.Second)
		if got := phones.of("bob"); len(got) != 2 || got[1].text != "two" {
			t.Errorf("bob was told %v", got)
		}
	})
}
