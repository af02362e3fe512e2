package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/push/standin"
	"github.com/roomtide/roomtide/webhook"
)

var (
	rounds = flag.Int("rounds", len(tellingPoints), "how often TestCrashesWhileTelling kills its node")
	seed   = flag.Uint64("seed", 0, "of TestCrashesWhileTelling; 0: the time")
)

// tellingPoints are the places on the roads of a notification and of an event where a node
// is killed.
var tellingPoints = []string{
	"push-before-jobs", "push-after-jobs", "push-before-send", "push-after-send", "push-after-outcome",
	givingUp, "webhook-before-post", "webhook-delivered", "before-message-answered",
}

// givingUp is hit where the endpoint takes nothing, and events are soon too old.
const givingUp = "webhook-dead"

// cutOff is what the stand-in says of a request whose body ends early, as its sender was
// killed. Messages are too short for it to be true.
const cutOff = standin.WebPush + ": more than 4096 bytes"

// A node is killed at every step from a message to its notification, and to the host's back
// end. In the end the newest message of each room was told, a notification that came twice
// is the same one and takes its own place on the screen, and the back end has every
// message at least once, with one id.
func TestCrashesWhileTelling(t *testing.T) {
	w := openTelling(t)
	plan := make([]string, *rounds)
	for i := range plan {
		plan[i] = tellingPoints[i%len(tellingPoints)]
	}
	w.rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	w.prepare()
	done := make(chan struct{})
	go w.write(done)
	for i, point := range plan {
		w.round.Store(int64(i))
		w.refusing.Store(point == givingUp)
		env := []string{fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, 1+w.rng.IntN(4))}
		if point == givingUp {
			env = append(env, "ROOMTIDE_WEBHOOKS_RETRY_FOR=300ms")
		}
		node := w.start(env...)
		if code := node.Wait(2 * time.Minute); code != -1 || !strings.Contains(node.Stderr(), "crashpoint: "+point) {
			t.Fatalf("round %d: at %s the node ended with %d\n%s", i+1, point, code, node.Stderr())
		}
		w.refusing.Store(false)
	}
	last := w.start()
	last.Ready()
	w.stop.Store(true)
	<-done
	w.checkPushes()
	w.checkEvents()
	for _, why := range w.services.Refused() {
		if why != cutOff {
			t.Errorf("the service refuses: %s", why)
		}
	}
	if code := last.Terminate(drainBound); code != 0 {
		t.Errorf("the last node ended with %d\n%s", code, last.Stderr())
	}
	t.Logf("seed %d: killed %d times, each point %d times or once more; %d messages, %d notifications, %d of them repeated; %d events, %d of them repeated",
		w.seed, len(plan), len(plan)/len(tellingPoints), w.sent.Load(), w.pushes, w.pushes-w.notified, len(w.back.ids), w.back.repeated())
}

// telling is a node that tells the phone of bob, and the host's back end, what ann writes.
type telling struct {
	*testing.T
	seed      uint64
	rng       *rand.Rand
	dir, addr string
	env       []string // settings
	services  *standin.Server
	back      *backEnd
	host      string // URL of the back end
	endpoint  string // its id
	ann       *client.Client

	round    atomic.Int64 // the room in which ann writes
	refusing atomic.Bool  // the back end takes nothing
	stop     atomic.Bool  // ann writes no more
	sent     atomic.Int64 // acknowledged

	mu   sync.Mutex
	told map[string][]pushed // by text; guarded by mu

	newest           map[int64]string // by room: the last message that was acknowledged; owned by write
	pushes, notified int              // set by checkPushes
}

// pushed is what a browser gets.
type pushed struct {
	ID, Body, Tag string
	at            time.Time
}

func openTelling(t *testing.T) *telling {
	w := &telling{T: t, seed: *seed, dir: t.TempDir(), addr: testprocess.FreeAddr(t), told: map[string][]pushed{}, newest: map[int64]string{}}
	if w.seed == 0 {
		w.seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", w.seed)
	w.rng = rand.New(rand.NewPCG(w.seed, 0))
	var err error
	if w.services, err = standin.Open(standin.Config{Accepted: w.accepted}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.services.Close() })
	w.back = &backEnd{w: w, ids: map[string]int{}, texts: map[string]string{}, came: map[chat.RoomID][]event{}}
	server := httptest.NewServer(w.back)
	t.Cleanup(server.Close)
	w.host = server.URL
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w.env = []string{
		"ROOMTIDE_PUSH_CA_FILE=" + file("ca.pem", string(w.services.Certificate())), "ROOMTIDE_PUSH_WEBPUSH_ALLOW=127.0.0.0/8",
		"ROOMTIDE_PUSH_WEBPUSH_SUBJECT=mailto:push@example.org", "ROOMTIDE_PUSH_DELAY=0s", "ROOMTIDE_WEBHOOKS_ALLOW=127.0.0.1", "ROOMTIDE_LIMITS_ROOMS_PER_CONN=1000",
		"ROOMTIDE_WEBHOOKS_BEFORE_MESSAGE=" + w.host + "/ask", "ROOMTIDE_WEBHOOKS_BEFORE_MESSAGE_INSECURE=true",
		"ROOMTIDE_WEBHOOKS_BEFORE_MESSAGE_SECRET_FILE=" + file("secret", webhook.NewSecret()),
		"ROOMTIDE_WEBHOOKS_BEFORE_MESSAGE_FAILURE=closed", "ROOMTIDE_WEBHOOKS_BEFORE_MESSAGE_TIMEOUT=10s",
	}
	return w
}

func (w *telling) start(env ...string) *testprocess.Node {
	return program.Start(w.T, w.dir, w.addr, append(w.env[:len(w.env):len(w.env)], env...)...)
}

func room(i int64) chat.RoomID { return chat.RoomID("room" + strconv.FormatInt(i, 10)) }

// prepare makes a room for each round, the device and the endpoint.
func (w *telling) prepare() {
	w.Helper()
	node := w.start()
	node.Ready()
	w.ann = dial(w.T, w.addr, "ann") // comes back to each node
	bob := dial(w.T, w.addr, "bob")
	for i := range *rounds {
		for _, c := range []*client.Client{w.ann, bob} {
			if _, err := c.Join(w.Context(), room(int64(i)), client.JoinOptions{}); err != nil {
				w.Fatal(err)
			}
		}
	}
	w.register(bob)
	bob.Close()
	w.addEndpoint()
	if code := node.Terminate(drainBound); code != 0 {
		w.Fatalf("the first node ended with %d", code)
	}
}

// register gives a user a browser to be told by.
func (w *telling) register(c *client.Client) {
	w.Helper()
	address, _, err := w.services.NewWebPush("")
	if err == nil {
		err = c.RegisterDevice(w.Context(), "browser", standin.WebPush, json.RawMessage(address))
	}
	if err != nil {
		w.Fatal(err)
	}
}

// addEndpoint has the back end told of messages.
func (w *telling) addEndpoint() {
	w.Helper()
	w.roomtide("webhook", "add", w.host, "--kinds", "message.created", "--insecure")
	var list struct{ Webhooks []webhook.Status }
	program.JSON(w.T, &list, "webhook", "list", "--json", "--data-dir", w.dir)
	w.endpoint = list.Webhooks[0].ID
}

func (w *telling) roomtide(args ...string) string {
	w.Helper()
	out, errs, err := program.Run(w.Context(), append(args, "--data-dir", w.dir)...)
	if err != nil {
		w.Fatalf("%v: %v\n%s", args, err, errs)
	}
	return out
}

// write sends one message after the other to the room of the round, through all crashes.
func (w *telling) write(done chan<- struct{}) {
	defer close(done)
	defer w.ann.Close()
	for i := 0; !w.stop.Load(); i++ {
		round := w.round.Load()
		text := fmt.Sprintf("message %d of round %d.", i, round)
		if _, err := w.ann.Send(w.Context(), room(round), chat.Draft{Text: text}); err != nil {
			w.Errorf("%s: %v", text, err)
			return
		}
		w.newest[round] = text
		w.sent.Add(1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-w.Context().Done():
			return
		}
	}
}

func (w *telling) accepted(n standin.Notification) {
	var p pushed
	if err := json.Unmarshal([]byte(n.Payload), &p); err != nil {
		w.Error(err)
	}
	p.at = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[p.Body] = append(w.told[p.Body], p)
}

// await waits until something is so.
func (w *telling) await(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not in time: %s; refused: %v", what, w.services.Refused())
		}
	}
}

// awaitPushes waits until the newest message of each room was told.
func (w *telling) awaitPushes() {
	w.Helper()
	for round, text := range w.newest {
		w.await(fmt.Sprintf("the notification of %q, the newest of room %d", text, round), func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.told[text]) > 0
		})
	}
}

// checkPushes: the newest message of each room was told, and each message under one id and
// one tag.
func (w *telling) checkPushes() {
	w.Helper()
	w.awaitPushes()
	w.mu.Lock()
	defer w.mu.Unlock()
	tags := map[string]string{} // by room
	for text, ps := range w.told {
		w.notified++
		w.pushes += len(ps)
		_, room, _ := strings.Cut(text, " of ")
		for _, p := range ps {
			if p.ID != ps[0].ID || p.Tag == "" || tags[room] != "" && tags[room] != p.Tag {
				w.Errorf("a second notification is shown: %+v, %+v", ps[0], p)
			}
			tags[room] = p.Tag
		}
	}
}

// checkEvents: the back end has every message, those that were given up when they are asked
// for.
func (w *telling) checkEvents() {
	w.Helper()
	w.await("all events, or dead letters", func() bool {
		var list struct{ Webhooks []webhook.Status }
		program.JSON(w.T, &list, "webhook", "list", "--json", "--data-dir", w.dir)
		if len(list.Webhooks) != 1 {
			w.Fatalf("the endpoints: %+v", list.Webhooks)
		}
		return w.back.distinct()+list.Webhooks[0].Dead >= int(w.sent.Load())
	})
	w.roomtide("webhook", "retry", w.endpoint)
	w.await("all events", func() bool { return w.back.distinct() == int(w.sent.Load()) })
}

// backEnd is the host: it is told of messages, and asked before they are stored.
type backEnd struct {
	w *telling

	mu    sync.Mutex
	ids   map[string]int    // how often each event came; guarded by mu
	texts map[string]string // by id, of events and of questions; guarded by mu

	came map[chat.RoomID][]event // each when it came first; guarded by mu
}

// event is one of a message.
type event struct {
	seq chat.Seq
	at  time.Time
}

func (b *backEnd) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the node was killed
	}
	var e struct {
		ID   string
		Data struct {
			Message string
			Room    chat.RoomID
			Seq     chat.Seq
		}
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" || e.ID != req.Header.Get("webhook-id") {
		b.w.Errorf("%s: %v", body, err)
	}
	isEvent := req.URL.Path != "/ask"
	if isEvent && b.w.refusing.Load() {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if was, ok := b.texts[e.ID]; ok && was != e.Data.Message {
		b.w.Errorf("the id of %q is also that of %q", was, e.Data.Message)
	}
	b.texts[e.ID] = e.Data.Message
	if isEvent {
		if b.ids[e.ID] == 0 {
			b.came[e.Data.Room] = append(b.came[e.Data.Room], event{e.Data.Seq, time.Now()})
		}
		b.ids[e.ID]++
	}
}

// distinct is how many messages came, each under one id.
func (b *backEnd) distinct() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := map[string]string{}
	for id := range b.ids {
		text := b.texts[id]
		if ids[text] != "" {
			b.w.Errorf("%q came as two events", text)
		}
		ids[text] = id
	}
	return len(ids)
}

// repeated is how many events came more than once.
func (b *backEnd) repeated() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, times := range b.ids {
		if times > 1 {
			n++
		}
	}
	return n
}

func dial(t *testing.T, addr, user string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{URL: "ws://" + addr, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
