package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/webhook"
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "crashpoints", func(p *testprocess.Program) { program = p }))
}

// limit is for what takes less than a second on a machine with nothing else to do.
const limit = 2 * time.Minute

var flags = []string{"--webhooks-allow", "127.0.0.1"}

// receiver notes the events of messages: how often each id came, and what it said.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	ids    map[string]int
	texts  map[string]string // by id
	refuse func(text string) bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, ids: map[string]int{}, texts: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var e struct {
		ID   string
		Data struct{ Message string }
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the node was killed
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ID != req.Header.Get("webhook-id") {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil && r.refuse(e.Data.Message) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.ids[e.ID]++
	if old, ok := r.texts[e.ID]; ok && old != e.Data.Message {
		r.t.Errorf("the id of %q is also that of %q", old, e.Data.Message)
	}
	r.texts[e.ID] = e.Data.Message
}

// distinct is how many texts came, and how many events came more than once.
func (r *receiver) distinct() (texts, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for id, n := range r.ids {
		seen[r.texts[id]] = true
		if n > 1 {
			twice++
		}
	}
	if len(seen) != len(r.ids) {
		r.t.Errorf("%d ids of %d messages", len(r.ids), len(seen))
	}
	return len(seen), twice
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func roomtide(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, errs, err := program.Run(ctx, args...)
	if err != nil {
		t.Fatalf("roomtide %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	return strings.TrimSpace(out)
}

// post sends a message as a user and returns the status, 0 without an answer.
func post(addr string, m message) (status int, answer string) {
	raw, err := json.Marshal(m)
	if err != nil {
		return 0, err.Error()
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/rooms/lobby/messages", bytes.NewReader(raw))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Roomtide-User", "ann")
	if m.key != "" {
		req.Header.Set("Idempotency-Key", m.key)
	}
	resp, err := (&http.Client{Timeout: limit}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // the status says it
	return resp.StatusCode, string(text)
}

type message struct {
	Message string `json:"message"`
	key     string // of the request
}

// A node that is killed while it delivers loses no event: each comes at least once, with
// one id, also what was given up.
func TestKilled(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	r := newReceiver(t)
	first := program.StartWith(t, dir, addr, flags)
	first.Ready()
	secret := roomtide(t, "webhook", "add", r.URL, "--kinds", "message.created", "--insecure", "--data-dir", dir)
	if !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("the secret is %q", secret)
	}
	first.Terminate(limit)
	sent := 0
	for _, crash := range []string{"webhook-delivered:3", "after-commit:25", "webhook-delivered:12", "webhook-delivered:1"} {
		n := program.StartWith(t, dir, addr, flags, "ROOMTIDE_CRASH="+crash) // it may end before it is ready
		for alive := true; alive; {
			select {
			case <-n.Exited():
				alive = false
			case <-time.After(time.Millisecond):
				key := fmt.Sprint("m", sent)
				if status, answer := post(addr, message{key, key}); status == http.StatusCreated || status == http.StatusOK {
					sent++
				} else if status != 0 && status != http.StatusServiceUnavailable {
					t.Fatalf("%d %s", status, answer)
				}
			}
		}
		if !strings.Contains(n.Stderr(), "crashpoint: ") {
			t.Fatalf("it has ended otherwise:\n%s", n.Stderr())
		}
	}
	last := program.StartWith(t, dir, addr, flags)
	last.Ready()
	for range 2 { // one that was sent and not acknowledged is stored with it, or now
		post(addr, message{fmt.Sprint("m", sent), fmt.Sprint("m", sent)})
		sent++
	}
	await(t, "all events have come", func() bool { n, _ := r.distinct(); return n >= sent })
	texts, twice := r.distinct()
	if texts != sent || twice == 0 {
		t.Errorf("%d messages of %d, %d of them twice: a kill behind a delivery repeats it", texts, sent, twice)
	}
	var list struct{ Webhooks []webhook.Status }
	if err := json.Unmarshal([]byte(roomtide(t, "webhook", "list", "--json", "--data-dir", dir)), &list); err != nil || len(list.Webhooks) != 1 || list.Webhooks[0].Dead != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	id := list.Webhooks[0].ID
	roomtide(t, "webhook", "test", id, "--data-dir", dir)
	roomtide(t, "webhook", "replay", id, "--from", "1h", "--data-dir", dir)
	await(t, "all have come again", func() bool { _, twice := r.distinct(); return twice >= sent })
	roomtide(t, "webhook", "set", id, "--no-enabled", "--data-dir", dir)
	roomtide(t, "webhook", "remove", id, "--data-dir", dir)
	if code := last.Terminate(limit); code != 0 {
		t.Errorf("the last node ended with %d", code)
	}
}

// What was given up is there after a kill, and is delivered then.
func TestKilledWhileGivingUp(t *testing.T) {
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	r := newReceiver(t)
	r.refuse = func(text string) bool { return strings.HasPrefix(text, "bad") }
	short := append([]string{"--webhooks-retry-for", "50ms"}, flags...)
	n := program.StartWith(t, dir, addr, short, "ROOMTIDE_CRASH=webhook-dead:2")
	n.Ready()
	roomtide(t, "webhook", "add", r.URL, "--kinds", "message.created", "--insecure", "--data-dir", dir)
	for _, text := range []string{"bad 1", "good 1", "bad 2", "good 2"} {
		post(addr, message{text, text})
	}
	n.Wait(limit)
	n = program.StartWith(t, dir, addr, short)
	n.Ready()
	for _, text := range []string{"bad 1", "good 1", "bad 2", "good 2"} { // those that were not stored
		post(addr, message{text, text})
	}
	await(t, "the good ones come", func() bool { texts, _ := r.distinct(); return texts == 2 })
	dead := func() []webhook.Status {
		var list struct{ Webhooks []webhook.Status }
		if err := json.Unmarshal([]byte(roomtide(t, "webhook", "list", "--json", "--data-dir", dir)), &list); err != nil {
			t.Fatal(err)
		}
		return list.Webhooks
	}
	await(t, "the bad ones are dead", func() bool { return dead()[0].Dead == 2 })
	id := dead()[0].ID
	if out := roomtide(t, "webhook", "dead", id, "--data-dir", dir); strings.Count(out, "answers 400") != 2 {
		t.Errorf("%s", out)
	}
	r.mu.Lock()
	r.refuse = nil
	r.mu.Unlock()
	if out := roomtide(t, "webhook", "retry", id, "--data-dir", dir); out != "2 delivered" {
		t.Errorf("%s", out)
	}
	if texts, _ := r.distinct(); texts != 4 {
		t.Errorf("%d messages", texts)
	}
}

// Messages of every transport are asked about; what the host says counts.
func TestBeforeMessage(t *testing.T) {
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var q struct {
			Type string
			Data struct{ Message, Room, User string }
		}
		if err := json.NewDecoder(req.Body).Decode(&q); err != nil || q.Data.User == "" || q.Data.Room != "lobby" || req.Header.Get("webhook-signature") == "" {
			t.Errorf("%+v, %v", q, err)
		}
		switch text := q.Data.Message; {
		case strings.Contains(text, "bad"):
			io.WriteString(w, `{"allow":false,"reason":"No bad words, please."}`)
		case strings.Contains(text, "rude"):
			fmt.Fprintf(w, `{"message":%q,"data":{"was": true}}`, strings.ReplaceAll(text, "rude", "r***"))
		case strings.Contains(text, "error"):
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer asked.Close()
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	secret := filepath.Join(dir, "before.secret")
	if err := os.WriteFile(secret, []byte(webhook.NewSecret()), 0o600); err != nil {
		t.Fatal(err)
	}
	n := program.StartWith(t, dir, addr, append([]string{
		"--webhooks-before-message", asked.URL, "--webhooks-before-message-insecure", "--webhooks-before-message-failure", "closed",
		"--webhooks-before-message-secret-file", secret, "--webhooks-before-message-timeout", "10s",
	}, flags...))
	n.Ready()
	for _, c := range []struct {
		text, says string
		status     int
	}{{"hello", "", 201}, {"a bad word", "No bad words, please.", 403}, {"a rude word", "", 201}, {"an error", "does not work now", 503}} {
		if status, answer := post(addr, message{Message: c.text}); status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d %s", c.text, status, answer)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URL: "ws://" + addr + "/ws", User: "ben"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Join(ctx, "lobby", client.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(ctx, "lobby", chat.Draft{Text: "bad over a socket"}); err == nil || !strings.Contains(err.Error(), "No bad words") {
		t.Errorf("over a socket: %v", err)
	}
	if _, err := c.Send(ctx, "lobby", chat.Draft{Text: "rude over a socket"}); err != nil {
		t.Error(err)
	}
	if _, err := c.Edit(ctx, "lobby", 1, "bad edit"); err == nil {
		t.Error("an edit of another's message")
	}
	ms, _, err := c.History(ctx, "lobby", client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range ms {
		texts = append(texts, m.Text)
	}
	if got := strings.Join(texts, "|"); got != "hello|a r*** word|r*** over a socket" || string(ms[1].Data) != `{"was":true}` {
		t.Errorf("%s, %s", got, ms[1].Data)
	}
	if code := n.Terminate(limit); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}
