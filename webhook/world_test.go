package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlanes"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/outbox"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// world is lanes over real databases, an outbox and the webhooks beside them.
type world struct {
	t      *testing.T
	dir    string
	cfg    webhook.Config
	store  *store.Store
	lanes  *lane.Lanes
	outbox *outbox.Outbox
	hooks  *webhook.Service
	around func(webhook.Outbox) webhook.Outbox // what a test puts before the outbox; nil: nothing

	mu    sync.Mutex
	later time.Duration // that the clock of the webhooks is ahead
}

func newWorld(t *testing.T, cfg webhook.Config) *world {
	return newWorldAround(t, cfg, nil)
}

func newWorldAround(t *testing.T, cfg webhook.Config, around func(webhook.Outbox) webhook.Outbox) *world {
	w := &world{t: t, dir: t.TempDir(), cfg: cfg, around: around}
	w.open()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	w.store, w.lanes = testlanes.Open(w.t, w.dir, 2)
	var err error
	cfg := w.cfg
	cfg.Store, cfg.Lanes, cfg.Now = w.store, w.lanes, w.now
	cfg.Deployment, err = w.store.Control.Deployment(w.t.Context())
	w.must(err)
	if cfg.Allow == nil {
		cfg.Allow = loopback
	}
	w.hooks = webhook.New(cfg)
	w.outbox, err = outbox.Open(w.t.Context(), outbox.Config{
		Store: w.store, Lanes: w.lanes, Fate: w.hooks.Fate, Apart: []string{mover.Cursor}, MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	})
	w.must(err)
	var box webhook.Outbox = w.outbox
	if w.around != nil {
		box = w.around(box)
	}
	w.hooks.Start(box)
}

func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w.hooks.Close()
	w.outbox.Close(ctx)
	if ctx.Err() != nil {
		w.t.Error("the outbox did not close in time")
	}
	testlanes.Close(w.t, w.store, w.lanes)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.later)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(room chat.RoomID, texts ...string) {
	w.t.Helper()
	_, err := w.lanes.Do(w.t.Context(), &change.Join{Room: room, User: "ann", Create: &change.RoomSpec{Open: true}})
	w.must(err)
	for _, text := range texts {
		_, err := w.lanes.Do(w.t.Context(), &change.Send{Room: room, User: "ann", Draft: chat.Draft{Text: text}})
		w.must(err)
	}
}

// add makes an endpoint for messages at the receiver.
func (w *world) add(r *receiver, o webhook.Order) webhook.Status {
	w.t.Helper()
	insecure := true
	o.URL, o.Insecure = &r.server.URL, &insecure
	if o.Kinds == nil {
		o.Kinds = &[]string{"message.created"}
	}
	st, secret, err := w.hooks.Add(w.t.Context(), o)
	w.must(err)
	r.mu.Lock()
	r.secrets = append(r.secrets, secret)
	r.mu.Unlock()
	return st
}

// await asks until it is so.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("not within a minute: ", what)
		}
	}
}

// event is one that a receiver got.
type event struct {
	Type, ID string
	Data     struct {
		Room    chat.RoomID
		Rev     chat.Rev
		Message string
		Events  []event
	}
}

// receiver is a host's back end.
type receiver struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	secrets  []string // each signs
	answer   func(w http.ResponseWriter, r *http.Request, got *event) bool
	got      []event // what was taken, in order
	ids      []string
	attempts int
	requests int // that were taken
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// respond sets what is done with a request; it returns whether it was taken.
func (r *receiver) respond(f func(w http.ResponseWriter, r *http.Request, got *event) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// status answers with a status.
func (r *receiver) status(code int) {
	r.respond(func(w http.ResponseWriter, _ *http.Request, _ *event) bool {
		w.WriteHeader(code)
		return code/100 == 2
	})
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // cut off by the sender
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	r.verify(req, body, &e)
	r.attempts++
	answer := r.answer
	r.mu.Unlock()
	if answer != nil && !answer(w, req, &e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	r.ids = append(r.ids, req.Header.Get("webhook-id"))
	if e.Type == "batch" {
		r.got = append(r.got, e.Data.Events...)
	} else {
		r.got = append(r.got, e)
	}
}

// verify checks the signatures as the specification says.
func (r *receiver) verify(req *http.Request, body []byte, e *event) {
	id, at := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	signatures := strings.Fields(req.Header.Get("webhook-signature"))
	for _, secret := range r.secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) < 24 {
			r.t.Errorf("the secret is %q", secret)
		}
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, id+"."+at+"."+string(body))
		if !slices.Contains(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
			r.t.Errorf("no signature of %s holds: %q", id, signatures)
		}
	}
	if e.ID != id || req.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(req.UserAgent(), "Roomtide/") {
		r.t.Errorf("headers %v of the event %s", req.Header, e.ID)
	}
}

// texts are those of a room's messages that were taken, in order.
func (r *receiver) texts(room chat.RoomID) (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.got {
		if e.Data.Room == room {
			texts = append(texts, e.Data.Message)
		}
	}
	return texts
}

func (r *receiver) count() (attempts, requests, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts, r.requests, len(r.got)
}

// events are those that were taken, in order.
func (r *receiver) events() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}
