// Package pushbench measures the whole road of a notification on one machine: a real node
// with its files, from the message over outbox, jobs and gateway to the stand-in of a
// service, which checks what the real one checks. "make bench-push" prints the figures;
// otherwise the tests run the same code on a few messages, and judge only that all members
// who are away are told.
package pushbench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/push/standin"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
)

var (
	figures  = flag.Bool("figures", false, "measure for long, and print tables")
	profiles = flag.String("profiles", "", "a directory for CPU profiles of the nodes under load")
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { program = p }))
}

// print writes a line of a table.
func print(cells ...any) {
	if !*figures {
		return
	}
	for _, c := range cells {
		fmt.Fprintf(os.Stdout, "| %v ", c)
	}
	fmt.Fprintln(os.Stdout, "|")
}

func head(cells ...any) {
	print(cells...)
	lines := make([]any, len(cells))
	for i := range lines {
		lines[i] = "---"
	}
	print(lines...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a node, and one room after the other with members who are away, a device each.
type world struct {
	t        *testing.T
	rooms    int
	services *standin.Server
	node     *testprocess.Node
	pprof    string
	dial     func() *client.Client // of the one who writes

	mu      sync.Mutex
	arrived []arrival // guarded by mu
}

// arrival is a notification that a service has taken.
type arrival struct {
	at   time.Time
	text string
}

// open starts a node whose rooms have so many members, all of whom have a device of the
// service.
func open(t *testing.T, service string, delay time.Duration, rooms, members int) *world {
	t.Helper()
	w := &world{t: t, rooms: rooms, pprof: testprocess.FreeAddr(t)}
	var err error
	w.services, err = standin.Open(standin.Config{Accepted: w.accepted})
	must(t, err)
	t.Cleanup(func() {
		if err := w.services.Close(); err != nil {
			t.Error(err)
		}
	})
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	env := append(w.settings(service), "ROOMTIDE_PUSH_DELAY="+delay.String(), "ROOMTIDE_PPROF="+w.pprof)
	start := func() *testprocess.Node {
		n := program.Start(t, dir, addr, env...)
		n.Ready()
		return n
	}
	w.dial = func() *client.Client {
		c, err := client.Dial(t.Context(), client.Options{URL: "ws://" + addr, User: "ann"})
		must(t, err)
		t.Cleanup(c.Close)
		return c
	}
	first := start() // makes the files, and the cursors of the outbox
	ann := w.dial()
	for i := range rooms {
		_, err := ann.Join(t.Context(), room(i), client.JoinOptions{})
		must(t, err)
	}
	ann.Close()
	if code := first.Terminate(time.Minute); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}
	w.populate(dir, service, members)
	w.node = start()
	return w
}

func room(i int) chat.RoomID { return chat.RoomID("room" + strconv.Itoa(i)) }

// settings are those of a node that pushes through one service.
func (w *world) settings(service string) []string {
	w.t.Helper()
	dir := w.t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		must(w.t, os.WriteFile(path, text, 0o600))
		return path
	}
	env := []string{"ROOMTIDE_PUSH_CA_FILE=" + file("ca.pem", w.services.Certificate())}
	switch service {
	case standin.FCM:
		env = append(env, "ROOMTIDE_PUSH_FCM_ACCOUNT_FILE="+file("account.json", w.services.Account()), "ROOMTIDE_PUSH_FCM_URL="+w.services.URL())
	case standin.APNs:
		env = append(env, "ROOMTIDE_PUSH_APNS_KEY_FILE="+file("key.p8", w.services.P8()), "ROOMTIDE_PUSH_APNS_KEY_ID="+standin.KeyID,
			"ROOMTIDE_PUSH_APNS_TEAM="+standin.TeamID, "ROOMTIDE_PUSH_APNS_TOPICS="+standin.Topic, "ROOMTIDE_PUSH_APNS_URL="+w.services.URL())
	case standin.WebPush:
		env = append(env, "ROOMTIDE_PUSH_WEBPUSH_SUBJECT=mailto:push@example.org", "ROOMTIDE_PUSH_WEBPUSH_ALLOW=127.0.0.0/8")
	}
	return env
}

// populate makes members with devices in the files of a stopped node, by the changes that
// a node makes of requests.
func (w *world) populate(dir, service string, members int) {
	w.t.Helper()
	var all []change.Change
	for i := range w.rooms {
		for k := range members {
			user := chat.UserID(fmt.Sprintf("user%d-%d", i, k))
			all = append(all, &change.Join{Room: room(i), User: user},
				&change.RegisterDevice{User: user, Device: "phone", Provider: service, Address: w.target(service), At: 1})
		}
	}
	cfg := config.Default()
	cfg.DataDir = dir
	must(w.t, server.WithStore(w.t.Context(), cfg, func(st *store.Store) error {
		lanes, err := lane.Open(w.t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }})
		if err != nil {
			return err
		}
		defer lanes.Close()
		free, errs := make(chan struct{}, 256), make(chan error, len(all))
		for _, c := range all {
			free <- struct{}{}
			lanes.Submit(c, func(_ change.Reply, err error) {
				<-free
				errs <- err
			})
		}
		for range all {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	}))
}

// target is the address of a new device, as its client gives it.
func (w *world) target(service string) (address string) {
	w.t.Helper()
	var err error
	switch service {
	case standin.FCM:
		address, _ = w.services.NewFCM()
	case standin.APNs:
		address, _ = w.services.NewAPNs("production")
	case standin.WebPush:
		address, _, err = w.services.NewWebPush("")
	}
	must(w.t, err)
	return address
}

func (w *world) accepted(n standin.Notification) {
	at := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived = append(w.arrived, arrival{at, n.Payload})
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.arrived)
}

// write sends messages to all rooms in turn, so many a second for so long, and returns when
// all are acknowledged. The text of each is the time at which it is sent.
func (w *world) write(c *client.Client, rate float64, long time.Duration) (sent int) {
	w.t.Helper()
	begin := time.Now()
	total := int(rate * long.Seconds())
	errs := make(chan error, total)
	for sent < total {
		due := begin.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-w.t.Context().Done():
			w.t.Fatal(context.Cause(w.t.Context()))
		}
		c.SendAsync(room(sent%w.rooms), chat.Draft{Text: sentAt + strconv.FormatInt(time.Now().UnixNano(), 10) + "."}, func(_ client.Sent, err error) { errs <- err })
		sent++
	}
	for range sent {
		must(w.t, <-errs)
	}
	return sent
}

const sentAt = "sent at "

// after is how long after its message a notification was taken.
func (a *arrival) after(t testing.TB) time.Duration {
	t.Helper()
	_, rest, _ := strings.Cut(a.text, sentAt)
	digits, _, _ := strings.Cut(rest, ".")
	ns, err := strconv.ParseInt(digits, 10, 64)
	must(t, err)
	return a.at.Sub(time.Unix(0, ns))
}

// await waits until so many notifications were taken.
func (w *world) await(n int) {
	w.t.Helper()
	for end := time.Now().Add(2 * time.Minute); w.count() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%d of %d notifications; refused: %v", w.count(), n, w.services.Refused())
		}
	}
}
