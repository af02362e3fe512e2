package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a provider whose outcomes a test gives. The service is the address up to "/".
type fake struct {
	send func(ctx context.Context, address string) Outcome
}

func (*fake) Name() string { return "fake" }

func (*fake) Check(address []byte) (string, error) {
	if len(address) == 0 {
		return "", chat.E(chat.Invalid, "empty")
	}
	return string(address), nil
}

func (*fake) Service(address string) string {
	service, _, _ := strings.Cut(address, "/")
	return service
}

func (f *fake) Send(ctx context.Context, address string, _ *Notification) Outcome {
	return f.send(ctx, address)
}

func (*fake) Close() error { return nil }

// world is a gateway to a fake, with a clock that the test moves.
type world struct {
	*testing.T
	*Gateway
	fake *fake
	log  strings.Builder

	mu   sync.Mutex
	now  time.Time // guarded by mu
	sent int       // guarded by mu: attempts that reached the provider
}

func newWorld(t *testing.T, concurrent int) *world {
	w := &world{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), fake: &fake{}}
	w.answer(Outcome{Action: Delivered})
	g, err := NewGateway(Config{
		Providers: []Provider{w.fake}, Concurrent: concurrent, Registerer: prometheus.NewRegistry(),
		Now: w.clock, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Gateway = g
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// answer has the provider answer every attempt with the outcome.
func (w *world) answer(o Outcome) {
	w.fake.send = func(context.Context, string) Outcome {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent++
		return o
	}
}

func (w *world) send(address string) Outcome {
	return w.Send(w.Context(), Target{"fake", address}, &Notification{Expires: w.clock().Add(time.Hour)})
}

// expect sends and compares the action, and whether the provider was asked.
func (w *world) expect(address string, action Action, asked bool) Outcome {
	w.Helper()
	before := w.sent
	o := w.send(address)
	if o.Action != action || (w.sent > before) != asked {
		w.Fatalf("%+v, asked: %v; want %s, %v", o, w.sent > before, action, asked)
	}
	return o
}

func TestNothingIsSentInVain(t *testing.T) {
	w := newWorld(t, 1)
	if o := w.Send(t.Context(), Target{"fake", "a"}, &Notification{Expires: w.clock()}); o.Action != Expired {
		t.Error(o)
	}
	if o := w.Send(t.Context(), Target{"other", "a"}, &Notification{Expires: w.clock().Add(1)}); o.Action != Misconfigured || o.After == 0 {
		t.Error(o)
	}
	if w.sent != 0 {
		t.Error("sent")
	}
	if _, err := w.Check("other", []byte("a")); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
	if _, err := w.Check("fake", nil); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
	if to, err := w.Check("fake", []byte("a")); err != nil || to != (Target{"fake", "a"}) {
		t.Error(to, err)
	}
	if _, err := NewGateway(Config{Providers: []Provider{w.fake, w.fake}}); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
}

// A service that says when is asked at that time, by one attempt first.
func TestRetryAfterIsObeyed(t *testing.T) {
	w := newWorld(t, 4)
	w.answer(Outcome{Action: Pause, Reason: "429", After: time.Minute})
	w.expect("a", Pause, true)
	w.answer(Outcome{Action: Delivered})
	if o := w.expect("a", Pause, false); o.After != time.Minute {
		t.Error(o.After)
	}
	w.expect("b", Delivered, true) // another service is another matter
	w.wait(time.Minute - 1)
	w.expect("a", Pause, false)
	w.wait(1)
	w.expect("a", Delivered, true)
	w.expect("a", Delivered, true)

	w.answer(Outcome{Action: Pause, After: 1000 * time.Hour}) // not beyond reason
	if o := w.expect("a", Pause, true); o.After != longest {
		t.Error(o.After)
	}
}

// After some failures in a row a service is left alone, for pauses that grow, and each
// time one attempt finds out.
func TestBreaker(t *testing.T) {
	w := newWorld(t, 4)
	w.answer(Outcome{Action: Pause, Reason: "network"})
	for range failuresToStop - 1 {
		w.expect("a", Pause, true)
	}
	w.answer(Outcome{Action: Retry, Reason: "429"}) // an answer: it is alive
	w.expect("a", Retry, true)
	w.answer(Outcome{Action: Pause, Reason: "network"})
	for range failuresToStop {
		w.expect("a", Pause, true)
	}
	previous := time.Duration(0)
	for range 12 {
		o := w.expect("a", Pause, false)
		if o.After < previous/3 || o.After > longPause {
			t.Fatalf("a pause of %s after one of %s", o.After, previous)
		}
		previous = o.After
		w.wait(o.After)
		w.expect("a", Pause, true) // the probe fails
	}
	if previous < longPause/2 {
		t.Errorf("pauses have grown to %s only", previous)
	}
	w.wait(longPause)
	w.answer(Outcome{Action: Delivered})
	w.expect("a", Delivered, true)
	w.answer(Outcome{Action: Pause, Reason: "network"})
	w.expect("a", Pause, true) // one failure is none again
	w.expect("a", Pause, true)
	for _, line := range []string{"left alone for a while", "answers again"} {
		if !strings.Contains(w.log.String(), line) {
			t.Errorf("the log does not say %q", line)
		}
	}
}

// While the attempt that finds out is running, no other is made. Those that began before
// the pause do not make it longer.
func TestOneProbe(t *testing.T) {
	w := newWorld(t, 8)
	running, verdict := make(chan struct{}), make(chan Outcome)
	w.fake.send = func(ctx context.Context, _ string) Outcome {
		select {
		case running <- struct{}{}:
			return <-verdict
		case <-ctx.Done(): // an attempt that the test does not expect
			return Failed(ctx, ctx.Err())
		}
	}
	outcomes := make(chan Outcome)
	attempt := func() { go func() { outcomes <- w.send("a") }() }
	for range 6 {
		attempt()
		<-running
	}
	for range 6 {
		verdict <- Outcome{Action: Pause, Reason: "network"}
		if o := <-outcomes; o.Action != Pause || o.After > firstPause {
			t.Fatal(o)
		}
	}
	w.wait(firstPause)
	attempt()
	<-running
	if o := w.send("a"); o.Action != Pause || o.After != probing {
		t.Fatal(o)
	}
	verdict <- Outcome{Action: Delivered}
	if o := <-outcomes; o.Action != Delivered {
		t.Fatal(o)
	}
	attempt()
	<-running
	verdict <- Outcome{Action: Delivered}
	<-outcomes
}

func TestRefusedCredentials(t *testing.T) {
	w := newWorld(t, 4)
	w.answer(Outcome{Action: Misconfigured, Reason: "InvalidProviderToken"})
	if o := w.expect("a", Misconfigured, true); o.After < firstRefuse/2 {
		t.Error(o.After)
	}
	w.expect("a", Pause, false)
	if w.lines["fake"].count(func(s *service) bool { return s.refused }) != 1 || !strings.Contains(w.log.String(), "level=ERROR") {
		t.Error("no alarm")
	}
	w.wait(firstRefuse)
	w.answer(Outcome{Action: Delivered})
	w.expect("a", Delivered, true)
	if w.lines["fake"].count(func(s *service) bool { return s.refused || s.paused }) != 0 {
		t.Error("the alarm goes on")
	}
}

// What is doubtful is not believed while it is what most targets are. Others still get
// theirs, and what is sure is believed.
func TestManyDeadAtOnce(t *testing.T) {
	w := newWorld(t, 4)
	believed := 0
	for range 100 {
		w.answer(Outcome{Action: Dead, Reason: "BadDeviceToken", Doubtful: true, Since: w.clock()})
		if o := w.send("a"); o.Action == Dead {
			believed++
		} else if o.Action != Retry || o.After != doubtPause || !o.Since.IsZero() {
			t.Fatal(o)
		}
	}
	if believed >= 16 {
		t.Errorf("%d targets were taken for dead", believed)
	}
	w.answer(Outcome{Action: Dead, Reason: "Unregistered"})
	w.expect("a", Dead, true)
	w.answer(Outcome{Action: Delivered})
	for range 40 {
		w.expect("a", Delivered, true)
	}
	w.answer(Outcome{Action: Dead, Reason: "BadDeviceToken", Doubtful: true})
	w.expect("a", Dead, true)
	if !strings.Contains(w.log.String(), "none is deleted") || !strings.Contains(w.log.String(), "believed to be dead again") {
		t.Error(w.log.String())
	}
}

// Attempts are bounded; one service does not get all permits.
func TestConcurrency(t *testing.T) {
	w := newWorld(t, 4)
	running, finish := make(chan string), make(chan struct{})
	w.fake.send = func(_ context.Context, address string) Outcome {
		running <- address
		<-finish
		return Outcome{Action: Delivered}
	}
	outcomes := make(chan Outcome)
	attempt := func(address string) { go func() { outcomes <- w.send(address) }() }
	for range 3 {
		attempt("a")
		<-running
	}
	attempt("a") // waits: the service has its share
	attempt("b")
	if address := <-running; address != "b" { // that was the last permit
		t.Fatal(address)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { outcomes <- w.Send(ctx, Target{"fake", "c"}, &Notification{Expires: w.clock().Add(1)}) }()
	cancel()
	if o := <-outcomes; o.Action != Retry || o.Reason != "cancelled" {
		t.Fatal(o)
	}
	attempt("c") // waits for a permit
	for range 4 {
		finish <- struct{}{}
	}
	if one, two := <-running, <-running; one+two != "ac" && one+two != "ca" {
		t.Fatal(one, two)
	}
	close(finish)
	for range 6 {
		if o := <-outcomes; o.Action != Delivered {
			t.Error(o)
		}
	}
}

// A service that takes requests and answers none holds as many callers as there are
// permits; the others come back, at first after a second and then at once. It holds up no
// other service.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		w.cfg.Now = time.Now
		answers := false
		w.fake.send = func(ctx context.Context, address string) Outcome {
			if address == "well" || answers {
				time.Sleep(time.Millisecond)
				return Outcome{Action: Delivered}
			}
			<-ctx.Done()
			return Failed(ctx, ctx.Err())
		}
		n := &Notification{Expires: time.Now().Add(time.Hour)}
		began := time.Now()
		tell := func(address string) (Outcome, time.Duration) {
			o := w.Send(t.Context(), Target{"fake", address}, n)
			return o, time.Since(began)
		}
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				switch o, took := tell("silent"); {
				case o.Reason == "silent" && o.Action == Retry && o.After == w.cfg.Timeout && took == patience:
				case o.Reason == "timeout" && took == w.cfg.Timeout:
				default:
					t.Errorf("after %v: %+v", took, o)
				}
			})
		}
		for range 20 {
			callers.Go(func() {
				if o, took := tell("well"); o.Action != Delivered || took > 20*time.Millisecond {
					t.Errorf("after %v: %+v", took, o)
				}
			})
		}
		time.Sleep(2 * patience)
		if o, took := tell("silent"); o.Reason != "silent" || took != 2*patience {
			t.Errorf("after %v: %+v", took, o)
		}
		callers.Wait() // the attempts have timed out, and the service is left alone
		answers = true
		if o, _ := tell("silent"); o.Reason != "paused" {
			t.Errorf("%+v", o)
		}
		time.Sleep(firstPause)
		for range 100 { // long after the last attempt, and all at once
			callers.Go(func() {
				if o, _ := tell("silent"); o.Action != Delivered && o.Reason != "paused" {
					t.Errorf("%+v", o)
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Minute)
		for range 100 {
			callers.Go(func() {
				if o, _ := tell("silent"); o.Action != Delivered {
					t.Errorf("%+v", o)
				}
			})
		}
		callers.Wait()
	})
}

// A caller that gives up says nothing about the service; time that has run out does.
func TestGivingUpIsNoFailure(t *testing.T) {
	w := newWorld(t, 4)
	w.fake.send = func(ctx context.Context, _ string) Outcome {
		<-ctx.Done()
		return Failed(ctx, ctx.Err())
	}
	for range 2 * failuresToStop {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o := w.Send(ctx, Target{"fake", "a"}, &Notification{Expires: w.clock().Add(time.Hour)})
		if o.Action != Retry {
			t.Fatal(o)
		}
	}
	if w.lines["fake"].count(func(s *service) bool { return s.paused }) != 0 {
		t.Error("paused")
	}
	short, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if o := Failed(short, short.Err()); o.Action != Pause || o.Reason != "timeout" {
		t.Error(o)
	}
	if o := Failed(t.Context(), errors.New("x")); o.Action != Pause || o.Reason != "network" {
		t.Error(o)
	}
}

func TestServicesAreBounded(t *testing.T) {
	w := newWorld(t, 4)
	w.answer(Outcome{Action: Pause, After: time.Hour})
	w.expect("ill", Pause, true)
	w.answer(Outcome{Action: Delivered})
	for i := range 3 * maxServices {
		w.expect(fmt.Sprintf("s%d", i), Delivered, true)
	}
	if n := len(w.lines["fake"].services); n > maxServices {
		t.Errorf("%d services are remembered", n)
	}
	w.expect("ill", Pause, false) // not forgotten for those that are well
	w.answer(Outcome{Action: Pause, After: time.Hour})
	for i := range 3 * maxServices {
		w.send(fmt.Sprintf("x%d", i))
	}
	if n := len(w.lines["fake"].services); n > maxServices {
		t.Errorf("%d ill services are remembered", n)
	}
}

func TestTable(t *testing.T) {
	now := time.Unix(1e9, 0)
	table := Table{
		{Status: 200, Action: Delivered},
		{Status: 400, Reason: "Bad", Action: Dead, Doubtful: true},
		{Status: 400, Action: Rejected},
		{Reason: "Gone", Action: Dead},
	}
	for _, c := range []struct {
		status int
		reason string
		want   Outcome
	}{
		{200, "", Outcome{Action: Delivered, Reason: "ok"}},
		{400, "Bad", Outcome{Action: Dead, Reason: "Bad", Since: now, Doubtful: true}},
		{400, "made up", Outcome{Action: Rejected, Reason: "400"}},
		{404, "Gone", Outcome{Action: Dead, Reason: "Gone", Since: now}},
		{599, "made up", Outcome{Action: Pause, Reason: "5xx"}},
		{302, "", Outcome{Action: Pause, Reason: "3xx"}},
		{-7, "", Outcome{Action: Pause, Reason: "strange"}},
	} {
		if got := table.Outcome(c.status, c.reason, now); got != c.want {
			t.Errorf("%d %s: %+v, want %+v", c.status, c.reason, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-3": 0, "soon": 0, "99999999999999": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := RetryAfter(map[string][]string{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestNotification(t *testing.T) {
	n := Notification{Collapse: "some room"}
	if key := n.CollapseKey(); len(key) != 32 || strings.Contains(key, "room") {
		t.Error(key)
	}
	if key := (&Notification{}).CollapseKey(); key != "" {
		t.Error(key)
	}
	if !n.Silent() || (&Notification{Title: "x"}).Silent() || (&Notification{Text: "x"}).Silent() {
		t.Error("silent")
	}
	now := time.Now()
	for left, want := range map[time.Duration]time.Duration{-1: 0, 1500 * time.Millisecond: time.Second, time.Hour: time.Hour} {
		if got := (&Notification{Expires: now.Add(left)}).TTL(now); got != want {
			t.Errorf("%s: %s", left, got)
		}
	}
	for a := Delivered; a <= Rejected; a++ {
		if a.String() == "" || a.Final() == (a == Retry || a == Pause || a == Misconfigured) {
			t.Error(a)
		}
	}
}
