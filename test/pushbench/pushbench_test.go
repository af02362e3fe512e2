// Package pushbench measures the whole road of a notification on one machine: a real node
// with its files, from the message over outbox, jobs and gateway to the stand-in of a
// service, which checks what the real one checks. "make bench-push" prints the figures;
// otherwise the tests run the same code on a few messages, and judge only that all members
// who are away are told.
package pushbench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { program = p }))
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
	members  int // of each room, who are away
	services *standin.Server
	node     *testprocess.Node
	pprof    string
	dial     func() *client.Client // of the writer

	mu      sync.Mutex
	arrived []arrival        // guarded by mu
	told    map[telling]bool // guarded by mu
	again   int              // notifications that came once more; guarded by mu
	missing []int            // by room: members without a notification of the newest message; guarded by mu
	all     []chan struct{}  // by room: all members have got that of the newest message; cap 1
}

// arrival is a notification that a service has taken for the first time.
type arrival struct {
	at    time.Time
	after time.Duration // since its message was sent
}

// telling is a message that a device is told of.
type telling struct {
	target string
	sent   int64
}

// said is the text of a message, and what is read from the notification of it.
const said = "room %d at %d."

var saying = regexp.MustCompile(`room (\d+) at (\d+)\.`)

// newWorld counts notifications, and has no node yet.
func newWorld(t *testing.T, rooms, members int) *world {
	w := &world{t: t, rooms: rooms, members: members, told: map[telling]bool{}}
	for range rooms {
		w.missing = append(w.missing, members)
		w.all = append(w.all, make(chan struct{}, 1))
	}
	return w
}

// open starts a node whose rooms have so many members, all of whom have a device of the
// service.
func open(t *testing.T, service string, delay time.Duration, rooms, members int) *world {
	t.Helper()
	w := newWorld(t, rooms, members)
	w.pprof = testprocess.FreeAddr(t)
	var err error
	w.services, err = standin.Open(standin.Config{Accepted: w.accepted})
	must(t, err)
	t.Cleanup(func() {
		if err := w.services.Close(); err != nil {
			t.Error(err)
		}
	})
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	env := append(w.settings(service), "ROOMTIDE_PUSH_DELAY="+delay.String(), "ROOMTIDE_PPROF="+w.pprof, "ROOMTIDE_METRICS_PUBLIC=true")
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
	for i := 0; i < rooms; {
		ann := w.dial()
		for next := min(i+roomsOfConn, rooms); i < next; i++ {
			_, err := ann.Join(t.Context(), room(i), client.JoinOptions{})
			must(t, err)
		}
		ann.Close()
	}
	if code := first.Terminate(time.Minute); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}
	w.populate(dir, service)
	w.node = start()
	return w
}

// roomsOfConn is how many rooms a connection is in: at most 50 are allowed.
const roomsOfConn = 40

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
func (w *world) populate(dir, service string) {
	w.t.Helper()
	var all []change.Change
	for i := range w.rooms {
		for k := range w.members {
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
	now := time.Now()
	found := saying.FindStringSubmatch(n.Payload)
	if found == nil {
		w.t.Errorf("a notification of no message: %s", n.Payload)
		return
	}
	room, err := strconv.Atoi(found[1])
	if err != nil || room >= w.rooms {
		w.t.Errorf("a notification of another room: %s", n.Payload)
		return
	}
	sent, err := strconv.ParseInt(found[2], 10, 64)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	is := telling{n.Target, sent}
	if w.told[is] { // an attempt whose answer came too late is made again
		w.again++
		return
	}
	w.told[is] = true
	w.arrived = append(w.arrived, arrival{now, now.Sub(time.Unix(0, sent))})
	if w.missing[room]--; w.missing[room] == 0 {
		w.missing[room] = w.members
		select {
		case w.all[room] <- struct{}{}:
		default: // rounds have given up
		}
	}
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.arrived)
}

// round sends a message to a room, and waits until all members have their notification.
func (w *world) round(c *client.Client, i int) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := c.Send(ctx, room(i), chat.Draft{Text: fmt.Sprintf(said, i, time.Now().UnixNano())}); err != nil {
		return err
	}
	select {
	case <-w.all[i]:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("room %d: %w; refused: %v", i, ctx.Err(), w.services.Refused())
	}
}

// A push that is sent again counts once, and ends no round early or twice.
func TestPushesThatComeAgain(t *testing.T) {
	w := newWorld(t, 1, 2)
	push := func(target string, sent int) {
		w.accepted(standin.Notification{Target: target, Payload: fmt.Sprintf(said, 0, sent)})
	}
	for message := range 3 {
		push("a", message)
		push("a", message)
		if len(w.all[0]) != 0 {
			t.Fatalf("message %d: one of two members ends the round", message)
		}
		push("b", message)
		push("a", message)
		push("b", message)
		if len(w.all[0]) != 1 {
			t.Fatalf("message %d: the round does not end", message)
		}
		<-w.all[0]
	}
	if len(w.arrived) != 6 || w.again != 9 {
		t.Errorf("%d counted, %d again", len(w.arrived), w.again)
	}
}
