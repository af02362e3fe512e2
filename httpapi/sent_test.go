package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
)

// place is where an answer 202 says to ask.
func (n *node) place(g *got, room string) string {
	n.t.Helper()
	base, err := url.Parse(n.url + "/v1/rooms/" + room + "/messages")
	if err != nil {
		n.t.Fatal(err)
	}
	at, err := base.Parse(g.header.Get("Location"))
	if err != nil || g.header.Get("Location") == "" {
		n.t.Fatalf("Location %q: %v", g.header.Get("Location"), err)
	}
	return strings.TrimPrefix(at.String(), n.url)
}

// A message that the durable queue has is answered 202, with the place that tells what
// came of it: while it waits, when it is stored, and when it was refused.
func TestAcceptedMessages(t *testing.T) {
	var q testserver.Queue
	n := newNodeWith(t, &q, nil)
	const room = "team%2Fred"
	const messages = "/v1/rooms/" + room + "/messages"
	n.want(201, "POST", messages, `{"message":"one"}`, "as ann", "Idempotency-Key: k1")
	n.want(201, "POST", messages, `{"message":"two"}`, "as bob", "Prefer: respond-async") // nothing holds it up

	q.Hold()
	first := n.want(202, "POST", messages, `{"message":"three"}`, "as ann", "Idempotency-Key: k/3 ?", "Prefer: respond-async")
	if first.body["room"] != "team/red" || first.body["key"] != "k/3 ?" || first.body["queued"] == "" || first.header.Get("Retry-After") == "" {
		t.Errorf("%s %v", first.raw, first.header)
	}
	refused := n.want(202, "POST", messages, `{"message":"x","reply_to":99}`, "as ann", "Idempotency-Key: k4", "Prefer: wait=0")
	keyless := n.want(202, "POST", messages, `{"message":"of a stranger"}`, "as eve", "Idempotency-Key: k", "Prefer: respond-async")
	at := n.place(first, room)
	waits := n.want(202, "GET", at, nil, "as ann")
	if string(waits.raw) != string(first.raw) || waits.header.Get("Retry-After") == "" {
		t.Errorf("%s, first %s", waits.raw, first.raw)
	}
	byKey := messages + "/by-key/" + url.PathEscape("k/3 ?")
	if g := n.want(404, "GET", byKey, nil, "as ann"); g.code() != "not_found" {
		t.Errorf("%s", g.raw)
	}

	q.Release()
	sent := n.want(200, "POST", messages, `{"message":"three"}`, "as ann", "Idempotency-Key: k/3 ?")
	if sent.num("seq") != 3 {
		t.Errorf("%s", sent.raw)
	}
	for _, path := range []string{at, byKey} {
		if g := n.want(200, "GET", path, nil, "as ann"); string(g.raw) != string(sent.raw) {
			t.Errorf("%s: %s, want %s", path, g.raw, sent.raw)
		}
	}
	for _, g := range []*got{refused, keyless} {
		as := map[any]string{"k4": "as ann", "k": "as eve"}[g.body["key"]]
		if g := n.do("GET", n.place(g, room), nil, as); as == "as ann" && (g.status != 404 || !strings.Contains(string(g.raw), "refused")) || as == "as eve" && g.code() != "not_member" {
			t.Errorf("%s: %d %s", as, g.status, g.raw)
		}
	}
}

// A request that waits for the outcome gets it, if it comes in time.
func TestPreferToWait(t *testing.T) {
	var q testserver.Queue
	n := newNodeWith(t, &q, nil)
	const messages = "/v1/rooms/r/messages"
	n.want(201, "POST", messages, `{"message":"one"}`, "as ann")
	q.Hold()
	begun := time.Now()
	n.want(202, "POST", messages, `{"message":"two"}`, "as ann", "Idempotency-Key: k2", "Prefer: handling=lenient, wait=1")
	if d := time.Since(begun); d < time.Second {
		t.Errorf("answered after %v", d)
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		for deadline := time.Now().Add(20 * time.Second); q.Waiting() < 2 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		q.Release()
	}()
	g := n.want(201, "POST", messages, `{"message":"three"}`, "as ann", "Idempotency-Key: k3", "Prefer: wait=10000")
	if <-released; g.num("seq") != 3 {
		t.Errorf("%s", g.raw)
	}
}

// A message is asked for by its sender or with an API key.
func TestWhoAsksForAMessage(t *testing.T) {
	n := newNode(t, nil)
	const room = "/v1/rooms/r"
	key := n.key(identity.ScopeSend, identity.ScopeRooms)
	n.want(201, "PUT", room, `{"open":false}`, key)
	n.want(204, "PUT", room+"/members/ann", `{}`, key)
	n.want(204, "PUT", room+"/members/bob", `{}`, key)
	ann, bob, eve := n.token("ann"), n.token("bob"), n.token("eve")
	n.want(201, "POST", room+"/messages", `{"message":"one"}`, ann, "Idempotency-Key: k")

	const at = room + "/messages/by-key/k"
	for _, try := range []struct {
		status int
		path   string
		as     []string
	}{
		{200, at, []string{ann}},
		{200, at + "?user=ann", []string{ann}},
		{200, at + "?user=ann", []string{key}},
		{200, at, []string{key, "as ann"}},
		{404, at, []string{bob}},
		{404, at + "?user=bob", []string{key}},
		{403, at + "?user=ann", []string{bob}},
		{403, at, []string{eve}},
		{400, at, []string{key}},
		{400, at + "?queued=7", []string{ann}},
		{400, at + "?queued=-1.7", []string{ann}},
		{200, at + "?queued=0.7", []string{ann}},
		{413, room + "/messages/by-key/" + strings.Repeat("k", 129), []string{ann}},
		{404, "/v1/rooms/none/messages/by-key/k?user=ann", []string{key}},
	} {
		if g := n.do("GET", try.path, nil, try.as...); g.status != try.status {
			t.Errorf("%s as %v: %d %s, want %d", try.path, try.as[1:], g.status, g.raw, try.status)
		}
	}
	n.want(200, "DELETE", room+"/messages/1", nil, ann)
	if g := n.want(200, "GET", at, nil, ann); g.num("seq") != 1 {
		t.Errorf("of a deleted message: %s", g.raw)
	}
}

// How long an answer waits is what the client prefers, within bounds.
func TestWait(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"": waitTime, "respond-async": 0, "wait=5": 5 * time.Second, "respond-async, wait=3": 3 * time.Second,
		"Wait = \"4\"; x=y": 4 * time.Second, "wait=0": 0, "wait=11": maxWait, "wait=99999999999": waitTime,
		"wait=-1": waitTime, "wait": waitTime, "wait=soon": waitTime, "handling=lenient": waitTime,
	} {
		c := &call{r: &http.Request{Header: http.Header{"Prefer": {prefer}}}}
		if got := c.wait(); got != want {
			t.Errorf("%q: %v, want %v", prefer, got, want)
		}
	}
}
