package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/wire"
)

// result is one outcome of a batch: its status and the seq or the code, and the problem.
func (g *got) result(i int) (brief string, problem map[string]any) {
	r := g.body["results"].([]any)[i].(map[string]any)
	if sent, ok := r["sent"].(map[string]any); ok {
		return fmt.Sprint(r["status"], " ", sent["seq"]), nil
	}
	problem = r["problem"].(map[string]any)
	return fmt.Sprint(r["status"], " ", problem["code"]), problem
}

// Each message of a batch has the outcome that it would have had alone.
func TestBatch(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/a", `{}`, admin)
	n.want(201, "PUT", "/v1/rooms/7", `{}`, admin)
	const body = `{"messages":[
		{"room":"a","user":"ann","message":"one","key":"k1","data":{"n":1}},
		{"room":7,"user":1001,"message":"two","key":4711,"name":"Nobody"},
		{"room":"a","user":"bob","message":"three","reply_to":1},
		{"room":"none","user":"ann","message":"no such room"},
		{"room":"a","user":"ann","message":"other","key":"k1"},
		{"room":"a","user":"ann"},
		{"room":"a","message":"whose?"},
		{"room":"a","user":"ann","message":5},
		{"room":"a","user":"ann","message":"x","token":"y"},
		{"user":"ann","message":"where?"},
		"four",
		{"room":"a","user":"ann","message":"last"}]}`
	g := n.want(200, "POST", "/v1/messages", strings.NewReader(body), admin) // which the specification does not allow
	for i, want := range []string{"201 1", "201 1", "201 2", "404 not_found", "409 conflict", "400 invalid", "400 invalid", "400 invalid", "400 invalid", "400 invalid", "400 invalid", "201 3"} {
		if got, problem := g.result(i); got != want {
			t.Errorf("message %d: %s, want %s: %v", i, got, want, problem)
		}
	}
	if _, problem := g.result(8); !strings.Contains(fmt.Sprint(problem["detail"]), `unknown field "token"`) {
		t.Errorf("%v", problem)
	}
	page := n.want(200, "GET", "/v1/rooms/7/messages", nil, admin)
	if m := page.body["messages"].([]any)[0].(map[string]any); m["user"] != "1001" || m["name"] != "Nobody" || m["key"] != "4711" {
		t.Errorf("%s", page.raw)
	}

	again := n.want(200, "POST", "/v1/messages", `{"messages":[{"room":"a","user":"ann","message":"one","key":"k1","data":{"n":1}},{"room":"a","message":"mine"}]}`, admin, "as bob")
	if got, _ := again.result(0); got != "200 1" {
		t.Errorf("a repeat: %s", again.raw)
	}
	if got, _ := again.result(1); got != "201 4" {
		t.Errorf("as the user of the header: %s", again.raw)
	}
}

// Messages of one room are stored in the order of the batch.
func TestBatchKeepsOrder(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	var items []string
	for i := range maxBatch {
		room := fmt.Sprint("r", i%3)
		if i < 3 {
			n.want(201, "PUT", "/v1/rooms/"+room, `{}`, admin)
		}
		items = append(items, fmt.Sprintf(`{"room":%q,"message":"%d"}`, room, i))
	}
	g := n.want(200, "POST", "/v1/messages", `{"messages":[`+strings.Join(items, ",")+`]}`, admin, "as ann")
	for i := range maxBatch {
		if got, _ := g.result(i); got != fmt.Sprint("201 ", 1+i/3) {
			t.Errorf("message %d: %s", i, got)
		}
	}
	items = append(items, items[0])
	for _, body := range []string{`{"messages":[` + strings.Join(items, ",") + `]}`, `{"messages":[]}`, `{}`, `{"messages":{}}`, `{"message":"a"}`} {
		n.want(400, "POST", "/v1/messages", body, admin, "as ann")
	}
	n.want(400, "POST", "/v1/messages", `{"messages":[{"room":"r0","message":"a"}]}`, admin, "as ann", "Idempotency-Key: k")
	n.want(413, "POST", "/v1/messages", `{"messages":[{"room":"r0","message":"`+strings.Repeat("x", 64<<10)+`"}]}`, admin, "as ann")
}

// What the durable queue has of a batch is answered 202, with the place that tells what
// came of it, beside those that are decided at once.
func TestBatchThatIsAccepted(t *testing.T) {
	var q testserver.Queue
	n := newNodeWith(t, &q, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/team%2Fred", `{}`, admin)
	const body = `{"messages":[
		{"room":"team/red","message":"one","user":"ann","key":"k/1 ?"},{"room":"team/red","user":"ann"},
		{"room":"team/red","message":"x","user":"ann","reply_to":99,"key":"k2"},{"room":"team/red","message":"two","user":"bob","key":"k3"}]}`
	q.Hold()
	g := n.want(200, "POST", "/v1/messages", body, admin, "Prefer: respond-async")
	if got, _ := g.result(1); got != "400 invalid" {
		t.Errorf("%s", g.raw)
	}
	places := map[int]string{}
	for _, i := range []int{0, 2, 3} {
		r := g.body["results"].([]any)[i].(map[string]any)
		accepted, _ := r["accepted"].(map[string]any)
		if fmt.Sprint(r["status"]) != "202" || accepted["room"] != "team/red" || accepted["key"] == "" || accepted["queued"] == "" {
			t.Fatalf("message %d: %s", i, g.raw)
		}
		places[i] = "/v1/" + accepted["location"].(string)
		n.want(202, "GET", places[i], nil, admin)
	}
	q.Release()
	again := n.want(200, "POST", "/v1/messages", `{"messages":[{"room":"team/red","message":"one","user":"ann","key":"k/1 ?"}]}`, admin)
	if got, _ := again.result(0); got != "200 1" {
		t.Errorf("%s", again.raw)
	}
	for i, seq := range map[int]int{0: 1, 3: 2} {
		if g := n.want(200, "GET", places[i], nil, admin); g.num("seq") != seq {
			t.Errorf("message %d: %s", i, g.raw)
		}
	}
	if g := n.want(404, "GET", places[2], nil, admin); !strings.Contains(string(g.raw), "refused") {
		t.Errorf("%s", g.raw)
	}
}

// Users send as themselves, and join rooms first where they may.
func TestBatchOfAUser(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/open", `{"open":true}`, admin)
	n.want(201, "PUT", "/v1/rooms/private", `{"open":false}`, admin)
	g := n.want(200, "POST", "/v1/messages", `{"messages":[
		{"room":"open","message":"one"},{"room":"private","message":"secret"},{"room":"open","message":"two","user":"ann"},
		{"room":"open","message":"three","user":"bob"},{"room":"open","message":"four","name":"Bob"}]}`, n.token("ann"))
	for i, want := range []string{"201 1", "403 forbidden", "201 2", "403 forbidden", "403 forbidden"} {
		if got, _ := g.result(i); got != want {
			t.Errorf("message %d: %s, want %s", i, got, want)
		}
	}
}

// What queues may say (package ingest) is what the specification has for a batch.
func TestPostingsAreWhatTheSpecificationSays(t *testing.T) {
	for name := range specified()["POST /v1/messages"].items["messages"] {
		if _, err := wire.DecodePosting([]byte(`{"` + name + `":"1"}`)); err != nil && strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
