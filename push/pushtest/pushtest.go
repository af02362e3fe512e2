// Package pushtest is the conformance suite of push.Provider. It runs drivers against the
// stand-in of their service; a driver that has no service runs the part that needs none.
package pushtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/standin"
)

// Harness is a driver and what is behind it.
type Harness struct {
	Provider push.Provider

	// New registers a target with the service, and returns its address as a client sends
	// it, and the stand-in's name for it.
	New func() (address, id string)

	Bad     []string // addresses that Check refuses
	Secrets []string // what must not be in any outcome, besides the address

	Standin *standin.Server // nil: there is no service, and nothing that fails
	Service string          // of the stand-in

	// Answers are what the service says about one request, and what that means: lines of
	// the status, the reason or "-", and the action, with "doubtful" where it is.
	Answers string
}

// Run checks a driver. open makes a fresh one for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	tests := []struct {
		name    string
		service bool // it needs one
		test    func(w *world)
	}{
		{"addresses have one form", false, oneForm},
		{"bad addresses are refused", false, refuses},
		{"a notification arrives", false, arrives},
		{"a silent notification arrives", false, silent},
		{"one attempt at a time or many", false, many},
		{"a caller that has given up", false, givenUp},
		{"too large", true, tooLarge},
		{"a target that is gone", true, gone},
		{"answers mean what they mean", true, answers},
		{"Retry-After", true, retryAfter},
		{"a connection that breaks", true, breaks},
		{"a connection that ends in order", true, goAway},
		{"silence", true, silence},
		{"an answer that does not end", true, flood},
		{"an answer that makes no sense", true, garbage},
		{"a redirect is not followed", true, redirect},
	}
	for _, tc := range tests {
		h := open(t)
		if tc.service && h.Standin == nil {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			w := &world{T: t, Harness: h}
			tc.test(w)
			if h.Standin != nil {
				for _, reason := range h.Standin.Refused() {
					t.Errorf("the stand-in refused a request: %s", reason)
				}
			}
		})
		if err := h.Provider.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

type world struct {
	*testing.T
	Harness
}

// patience is for what has to happen: the machine may be slow.
const patience = 30 * time.Second

// target registers one and returns its canonical address.
func (w *world) target() (address, id string) {
	w.Helper()
	raw, id := w.New()
	address, err := w.Provider.Check([]byte(raw))
	if err != nil {
		w.Fatalf("Check: %v", err)
	}
	return address, id
}

// notification is one that is shown.
func notification() *push.Notification {
	badge := 3
	return &push.Notification{
		ID: uuid.NewString(), Title: "A title", Text: "Größe <1> & 字",
		Data: map[string]string{"room": "r 1", "seq": "17"}, Collapse: "secret-room-name", Badge: &badge,
		Expires: time.Now().Add(time.Hour),
	}
}

func (w *world) send(address string, n *push.Notification) push.Outcome {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	return w.sendIn(ctx, address, n)
}

// sendIn sends, and looks for secrets in the outcome.
func (w *world) sendIn(ctx context.Context, address string, n *push.Notification) push.Outcome {
	w.Helper()
	o := w.Provider.Send(ctx, address, n)
	text := fmt.Sprintf("%+v %v", o, o.Err)
	secrets := slices.Clone(w.Secrets)
	for _, field := range strings.FieldsFunc(address, func(r rune) bool { return strings.ContainsRune(`{}",/`, r) }) {
		if len(field) >= 20 { // tokens and keys
			secrets = append(secrets, field)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			w.Errorf("the outcome has a secret in it: %s", text)
		}
	}
	if o.Action == 0 || o.Reason == "" || o.After < 0 {
		w.Errorf("the outcome says nothing: %+v", o)
	}
	return o
}

// expect sends and compares the action.
func (w *world) expect(address string, n *push.Notification, action push.Action) push.Outcome {
	w.Helper()
	o := w.send(address, n)
	if o.Action != action {
		w.Fatalf("%s (%s, %v), want %s", o.Action, o.Reason, o.Err, action)
	}
	return o
}

func (w *world) script(a standin.Answer) {
	a.Service = w.Service
	w.Standin.Script(a)
}

// last is the newest notification that the stand-in took.
func (w *world) last() standin.Notification {
	w.Helper()
	all := w.Standin.Notifications()
	if len(all) == 0 {
		w.Fatal("the stand-in took nothing")
	}
	return all[len(all)-1]
}

func oneForm(w *world) {
	raw, _ := w.New()
	once, err := w.Provider.Check([]byte(raw))
	if err != nil {
		w.Fatal(err)
	}
	twice, err := w.Provider.Check([]byte(once))
	if err != nil || twice != once {
		w.Errorf("Check of %s is %s, %v", once, twice, err)
	}
	spaced := strings.Replace(raw, "{", "{ \"unknown\": [1],\n", 1)
	if got, err := w.Provider.Check([]byte(spaced)); err != nil || got != once {
		w.Errorf("with other fields and spaces it is %s, %v", got, err)
	}
	if w.Provider.Service(once) != w.Provider.Service(twice) || w.Provider.Name() == "" {
		w.Error("service or name")
	}
}

func refuses(w *world) {
	for _, bad := range append([]string{"", "x", "null", "[]", "{}", `"x"`, "{\xff}"}, w.Bad...) {
		got, err := w.Provider.Check([]byte(bad))
		if chat.KindOf(err) != chat.Invalid || got != "" {
			w.Errorf("Check of %q: %q, %v", bad, got, err)
			continue
		}
		if len(bad) > 20 && strings.Contains(err.Error(), bad) {
			w.Errorf("the error quotes the address: %v", err)
		}
		if o := w.send(bad+" ", notification()); !o.Action.Final() { // it does not come from Check
			w.Errorf("Send to %q: %+v", bad, o)
		}
	}
}

func arrives(w *world) {
	address, id := w.target()
	n := notification()
	w.expect(address, n, push.Delivered)
	if w.Standin == nil {
		return
	}
	got := w.last()
	if got.Target != id || got.Protocol != "HTTP/2.0" {
		w.Errorf("%+v", got)
	}
	for _, want := range []string{`"A title"`, `Größe `, "字", `"room":"r 1"`, `"seq":"17"`} {
		if !strings.Contains(got.Payload, want) {
			w.Errorf("the payload has no %s: %s", want, got.Payload)
		}
	}
	all := fmt.Sprint(got.Header, got.Payload)
	if strings.Contains(all, "secret-room-name") || !strings.Contains(all, n.CollapseKey()) {
		w.Errorf("the collapse key is not there, or told in the clear: %s", all)
	}
}

func silent(w *world) {
	address, _ := w.target()
	badge := 0
	for _, n := range []*push.Notification{
		{ID: uuid.NewString(), Expires: time.Now().Add(time.Minute), Badge: &badge},
		{ID: uuid.NewString(), Expires: time.Now().Add(time.Minute), Data: map[string]string{"a": "b"}},
	} {
		w.expect(address, n, push.Delivered)
		if w.Standin != nil {
			if p := w.last().Payload; strings.Contains(p, "title") || strings.Contains(p, "sound") {
				w.Errorf("something is shown: %s", p)
			}
		}
	}
}

func many(w *world) {
	const attempts = 64
	address, _ := w.target()
	failed := make(chan push.Outcome, attempts)
	var running sync.WaitGroup
	for range attempts {
		running.Go(func() {
			if o := w.send(address, notification()); o.Action != push.Delivered {
				failed <- o
			}
		})
	}
	running.Wait()
	close(failed)
	for o := range failed {
		w.Errorf("%+v", o)
	}
	if w.Standin != nil && w.Standin.Count(w.Service) != attempts {
		w.Errorf("%d of %d arrived", w.Standin.Count(w.Service), attempts)
	}
}

func givenUp(w *world) {
	address, _ := w.target()
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	if o := w.sendIn(ctx, address, notification()); o.Action != push.Retry {
		w.Errorf("%+v", o)
	}
	w.expect(address, notification(), push.Delivered)
}

func tooLarge(w *world) {
	address, _ := w.target()
	n := notification()
	n.Text = strings.Repeat("x", 3000)
	w.expect(address, n, push.Delivered)
	n.Text = strings.Repeat("x", 4097)
	w.expect(address, n, push.TooLarge)
	if w.Standin.Count(w.Service) != 1 {
		w.Error("it was sent")
	}
}

func gone(w *world) {
	address, id := w.target()
	w.expect(address, notification(), push.Delivered)
	before := time.Now()
	w.Standin.Remove(id, before.Add(-time.Hour))
	o := w.expect(address, notification(), push.Dead)
	if o.Since.IsZero() || o.Since.After(time.Now()) || o.Doubtful {
		w.Errorf("%+v", o)
	}
	other, _ := w.target()
	w.expect(other, notification(), push.Delivered)
}

func answers(w *world) {
	address, _ := w.target()
	for line := range strings.Lines(w.Answers) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		status, err := strconv.Atoi(fields[0])
		if err != nil {
			w.Fatal(err)
		}
		w.script(standin.Answer{Status: status, Reason: strings.TrimPrefix(fields[1], "-")})
		o := w.send(address, notification())
		if o.Action.String() != fields[2] || o.Doubtful != (len(fields) == 4) || (o.Action.Final() && o.After != 0) {
			w.Errorf("%s is %+v", strings.TrimSpace(line), o)
		}
	}
	for status := 500; status <= 599; status += 33 {
		w.script(standin.Answer{Status: status, Reason: "made up"})
		if o := w.send(address, notification()); o.Action != push.Pause || strings.Contains(o.Reason, "made up") {
			w.Errorf("%d is %+v", status, o)
		}
	}
	w.expect(address, notification(), push.Delivered)
}

func retryAfter(w *world) {
	address, _ := w.target()
	for _, status := range []int{429, 500, 503} {
		w.script(standin.Answer{Status: status, RetryAfter: "7"})
		if o := w.send(address, notification()); o.Action.Final() || o.After != 7*time.Second {
			w.Errorf("%d with 7: %+v", status, o)
		}
		at := time.Now().Add(time.Hour).UTC()
		w.script(standin.Answer{Status: status, RetryAfter: at.Format("Mon, 02 Jan 2006 15:04:05 GMT")})
		if o := w.send(address, notification()); o.Action.Final() || o.After < 50*time.Minute || o.After > time.Hour {
			w.Errorf("%d with a date: %+v", status, o)
		}
	}
}

// delivered sends until it is delivered: what failed before is a pause.
func (w *world) delivered(address string, attempts int) {
	w.Helper()
	for range attempts {
		o := w.send(address, notification())
		if o.Action == push.Delivered {
			return
		}
		if o.Action != push.Pause {
			w.Fatalf("%+v", o)
		}
	}
	w.Fatalf("not delivered in %d attempts", attempts)
}

func breaks(w *world) {
	address, _ := w.target()
	w.script(standin.Answer{Do: standin.DoReset, Times: 2}) // also the first connection
	w.delivered(address, 3)
	w.script(standin.Answer{Do: standin.DoReset, Times: 2})
	w.delivered(address, 3)
}

func goAway(w *world) {
	address, _ := w.target()
	for range 3 {
		w.script(standin.Answer{Do: standin.DoGoAway})
		w.expect(address, notification(), push.Delivered)
		w.delivered(address, 2) // it may meet the end of the connection
	}
}

func silence(w *world) {
	address, _ := w.target()
	for range 2 { // on the first connection, and on one that is known to be good
		w.script(standin.Answer{Do: standin.DoSilence})
		ctx, cancel := context.WithTimeout(w.Context(), 300*time.Millisecond)
		o := w.sendIn(ctx, address, notification())
		cancel()
		if o.Action != push.Pause || !errors.Is(o.Err, context.DeadlineExceeded) {
			w.Errorf("%+v", o)
		}
		w.Standin.Reset() // if the attempt ended before it reached the service
		w.expect(address, notification(), push.Delivered)
	}
}

func flood(w *world) {
	address, _ := w.target()
	w.script(standin.Answer{Do: standin.DoFlood, Status: 503})
	w.expect(address, notification(), push.Pause)
	w.expect(address, notification(), push.Delivered)
}

func garbage(w *world) {
	address, _ := w.target()
	w.script(standin.Answer{Do: standin.DoGarbage, Status: 503})
	w.expect(address, notification(), push.Pause)
	w.script(standin.Answer{Do: standin.DoGarbage, Status: 400})
	w.expect(address, notification(), push.Rejected)
	w.expect(address, notification(), push.Delivered)
}

func redirect(w *world) {
	address, _ := w.target()
	w.script(standin.Answer{Do: standin.DoRedirect})
	if o := w.send(address, notification()); o.Action == push.Delivered || o.Action == push.Dead {
		w.Errorf("%+v", o)
	}
	w.expect(address, notification(), push.Delivered)
}
