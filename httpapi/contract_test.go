package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/identity"
)

// Every operation of the specification, answered well.
func TestContract(t *testing.T) {
	n := newNode(t, func(c *Config) {
		c.Mover, c.Push, c.Feeds, c.Adoptions, c.Webhooks = &fakeMover{}, &fakePush{}, &fakeFeeds{}, &fakeAdoption{}, &fakeWebhooks{}
	})
	admin := n.key(identity.ScopeAll)
	const room = "/v1/rooms/team%2Fred"

	n.want(201, "PUT", room, `{"title":"Red","open":false}`, admin)
	if g := n.want(200, "PUT", room, `{"read_only":false,"title":"Red 2"}`, admin); g.body["title"] != "Red 2" || g.body["open"] != false || g.body["room"] != "team/red" {
		t.Errorf("%s", g.raw)
	}
	n.want(204, "PUT", room+"/members/ann", `{"role":"owner","name":"Ann"}`, admin)
	n.want(204, "PUT", room+"/members/bob", `{"name":"Bob"}`, admin)
	ann, bob := n.token("ann"), n.token("bob")

	first := n.want(201, "POST", room+"/messages", `{"message":"Hello","data":{"a":[1,null]}}`, ann, "Idempotency-Key: k1")
	again := n.want(200, "POST", room+"/messages", `{"message":"Hello","data":{"a":[1,null]}}`, ann, "Idempotency-Key: k1")
	if string(first.raw) != string(again.raw) || first.num("seq") != 1 {
		t.Errorf("first %s, again %s", first.raw, again.raw)
	}
	if g := n.want(200, "GET", room+"/messages/by-key/k1", nil, ann); string(first.raw) != string(g.raw) {
		t.Errorf("first %s, by its key %s", first.raw, g.raw)
	}
	n.want(201, "POST", room+"/messages", `{"message":"Hi","reply_to":1}`, bob)
	n.want(201, "POST", room+"/messages", `{"message":"as bob","user":"bob"}`, admin)
	n.want(201, "POST", room+"/messages", `{"message":"as bob"}`, admin, "as bob")
	n.want(200, "PATCH", room+"/messages/1", `{"message":"Hello!"}`, ann)
	n.want(200, "POST", "/v1/messages", `{"messages":[{"room":"none","message":"x","key":"k2"},{"room":"team/red","data":null}]}`, admin, "as bob")
	n.want(200, "DELETE", room+"/messages/2", nil, ann)
	n.want(200, "PUT", room+"/messages/1/reactions/%F0%9F%91%8D", nil, bob)
	n.want(200, "PUT", room+"/messages/1/reactions/%F0%9F%8E%89", nil, bob)
	n.want(200, "DELETE", room+"/messages/1/reactions/%F0%9F%8E%89", nil, bob)

	page := n.want(200, "GET", room+"/messages?limit=3&after=1", nil, bob)
	if ms := page.body["messages"].([]any); len(ms) != 3 || page.body["more"] != false {
		t.Errorf("%s", page.raw)
	}
	page = n.want(200, "GET", room+"/messages?before=2", nil, admin)
	m := page.body["messages"].([]any)[0].(map[string]any)
	if m["message"] != "Hello!" || m["edited"] == nil || len(m["reactions"].([]any)) != 1 {
		t.Errorf("%s", page.raw)
	}
	if g := n.want(200, "GET", room+"/changes?after=0", nil, ann); g.body["more"] != false || g.num("rev") == 0 || g.body["title"] != "Red 2" {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "PUT", room+"/read", `{"seq":2}`, ann); g.num("unread") != 2 {
		t.Errorf("%s", g.raw)
	}
	n.want(204, "POST", room+"/typing", `{}`, ann)
	n.want(204, "POST", room+"/typing", `{"on":false}`, admin, "as bob")

	s := n.listen(room+"/events", ann)
	s.next("")
	if g := n.want(200, "GET", room+"/online", nil, bob); g.num("online_count") != 1 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", "/v1/users/ann/presence", nil, admin); g.body["online"] != true || g.body["foreground"] != true || g.body["degraded"] != nil {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", "/v1/users/bob/presence", nil, bob); g.body["online"] != false || g.body["foreground"] != false {
		t.Errorf("%s", g.raw)
	}
	n.want(403, "GET", "/v1/users/bob/presence", nil, ann)
	if g := n.want(200, "DELETE", "/v1/users/ann/connections", nil, admin); g.num("closed") != 1 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", room+"/members?limit=1", nil, bob); g.num("count") != 2 || g.body["more"] != true {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "GET", room+"/members?limit=1&after=ann", nil, bob)
	if g := n.want(200, "GET", "/v1/rooms", nil, ann); g.body["rooms"].([]any)[0].(map[string]any)["room"] != "team/red" {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "GET", "/v1/rooms", nil, admin, "as bob")
	if g := n.want(200, "GET", "/v1/rooms?prefix=team&order=activity&open=false&limit=1", nil, admin); g.body["more"] != false || len(g.body["rooms"].([]any)) != 1 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", "/v1/users/ann/unread", nil, admin); g.num("unread") != 2 {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "GET", room+"/messages?around=read&limit=2", nil, ann)
	if g := n.want(200, "DELETE", "/v1/users/bob/messages", nil, admin); g.num("deleted") != 2 || g.body["more"] != false {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "GET", room, nil, bob)
	n.want(200, "PUT", "/v1/users/bob", `{"name":"Bob","avatar":"/bob.png","data":{"n":1}}`, admin)
	n.want(200, "GET", "/v1/users/bob", nil, ann)
	n.want(200, "GET", "/v1/users?of=ann&of=bob", nil, bob)
	if g := n.want(202, "POST", "/v1/users/bob/notifications", `{"title":"Order 7","text":"is ready","data":{"order":"7"},"ttl":60,"collapse":"order-7","room":"team/red"}`, admin); g.num("users") != 0 {
		t.Errorf("%s", g.raw) // there is no device
	}
	n.want(202, "POST", room+"/notifications", `{"text":"We close at five."}`, admin)
	n.want(200, "GET", "/v1/push/dead?user=bob&limit=5", nil, admin)
	n.want(200, "POST", "/v1/push/dead/retry", `{"user":"bob"}`, admin)
	n.want(200, "DELETE", "/v1/push/dead?user=bob", nil, admin)
	n.want(200, "POST", "/v1/push/test", `{"user":"bob"}`, admin)
	device := "/v1/users/bob/devices/phone%201"
	n.want(400, "PUT", device, `{"provider":"log","address":{"name":"b"}}`, bob)
	device = "/v1/users/bob/devices/phone"
	n.want(204, "PUT", device, `{"provider":"log","address":{"name":"b"}}`, bob)
	n.want(403, "PUT", device, `{"provider":"log","address":{"name":"b"}}`, ann)
	n.want(204, "PUT", "/v1/users/bob/devices/tablet", `{"provider":"log","address":{"name":"c"}}`, admin)
	n.want(204, "DELETE", "/v1/users/bob/devices/tablet", nil, admin)
	if g := n.want(200, "GET", "/v1/users/bob/devices", nil, bob); len(g.body["devices"].([]any)) != 1 {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "PUT", "/v1/users/bob/push", `{"level":"mentions","quiet_from":"22:30","quiet_to":"07:00","time_zone":"Asia/Shanghai","hide_content":true,"mute_until":""}`, bob)
	n.want(200, "PUT", "/v1/users/bob/push/team%2Fred", `{"level":"all"}`, admin)
	if g := n.want(200, "GET", "/v1/users/bob/push", nil, bob); len(g.body["settings"].([]any)) != 2 {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "GET", "/v1/users/bob/push?after=team%2Fred", nil, admin)
	n.want(204, "PUT", device, `{"provider":"log","language":"zh-CN","address":{"name":"b"}}`, bob)
	n.want(400, "PUT", device, `{"provider":"log","language":"Chinese!","address":{"name":"b"}}`, bob)
	if g := n.want(200, "GET", "/v1/users/bob/devices", nil, bob); !strings.Contains(string(g.raw), `"language":"zh-CN"`) {
		t.Errorf("%s", g.raw)
	}
	n.want(204, "DELETE", device, nil, bob)
	n.want(204, "DELETE", room+"/members/bob", nil, bob)
	n.want(204, "DELETE", room+"/members/ann", nil, admin)
	if g := n.want(200, "DELETE", "/v1/users/bob/tokens", nil, admin); g.num("not_before") == 0 || g.body["closed"] == nil {
		t.Errorf("%s", g.raw)
	}
	n.want(401, "GET", "/v1/rooms", nil, bob)
	n.want(200, "PUT", room, `{"archived":true}`, admin)
	n.want(204, "DELETE", room, nil, admin)
	n.want(404, "GET", room, nil, admin)
	n.want(200, "POST", "/v1/import", `{"history":true,"rooms":[{"room":"old"}],"users":[{"user":7,"name":"Seven"}],"members":[{"room":"old","user":7}],
		"messages":[{"room":"old","user":7,"key":"shop:1","message":"old","time":"2019-01-02T03:04:05Z"},{"room":"old","message":"whose"}],"reads":[{"room":"old","user":7,"seq":1}]}`, admin)
	n.want(201, "PUT", "/v1/feeds/mirror", nil, admin)
	n.want(200, "GET", "/v1/feeds", nil, admin)
	n.want(200, "GET", "/v1/feeds/mirror?after=0.1&wait=1&limit=10", nil, admin)
	n.want(204, "DELETE", "/v1/feeds/mirror", nil, admin)
	n.want(200, "PUT", "/v1/adoption", `{"source":"shop","state":"copying","generation":1}`, admin)
	n.want(200, "GET", "/v1/adoption", nil, admin)
	n.want(200, "GET", "/v1/nodes", nil, admin)
	n.want(200, "GET", "/v1/shards", nil, admin)
	n.want(202, "POST", "/v1/moves", `{"from":["a"],"to":["b"]}`, admin)
	n.want(200, "GET", "/v1/moves", nil, admin)
	n.want(200, "PATCH", "/v1/moves", `{"rate":1}`, admin)
	n.want(202, "DELETE", "/v1/moves", nil, admin)
	n.want(201, "POST", "/v1/webhooks", `{"url":"https://www.example.org/hook","kinds":["message.created"],"rooms":["shop-*"],"batch":5}`, admin)
	n.want(200, "GET", "/v1/webhooks", nil, admin)
	n.want(200, "PATCH", "/v1/webhooks/w1", `{"enabled":false,"rotate":true}`, admin)
	n.want(202, "POST", "/v1/webhooks/w1/replay", `{"from":"2026-01-02T15:04:05Z"}`, admin)
	n.want(200, "POST", "/v1/webhooks/w1/test", nil, admin)
	n.want(200, "GET", "/v1/webhooks/w1/dead?after=x", nil, admin)
	n.want(200, "POST", "/v1/webhooks/w1/retry", nil, admin)
	n.want(200, "DELETE", "/v1/webhooks/w1/dead", nil, admin)
	n.want(204, "DELETE", "/v1/webhooks/w1", nil, admin)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		n.want(200, "GET", path, nil, admin)
	}

	for _, op := range operations() {
		if !n.seen[op] {
			t.Errorf("operation %s was not tried", op)
		}
	}
	for _, secret := range []string{ann, bob, admin, "Hello", "Idempotency", "after=ann", "k1"} {
		if strings.Contains(n.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func operations() []string {
	var out []string
	for _, item := range loadSpec().Paths.Map() {
		for _, op := range item.Operations() {
			out = append(out, op.OperationID)
		}
	}
	return out
}

// The mux and the specification name the same routes.
func TestRoutesAreSpecified(t *testing.T) {
	specified := map[string]bool{}
	for path, item := range loadSpec().Paths.Map() {
		for method := range item.Operations() {
			specified[method+" "+path] = true
		}
	}
	patterns := []string{"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json"}
	for _, rt := range routes {
		patterns = append(patterns, rt.pattern)
		if !identity.KnownScope(rt.scope) {
			t.Errorf("%s has the scope %q", rt.pattern, rt.scope)
		}
	}
	if got, want := slices.Sorted(slices.Values(patterns)), slices.Sorted(maps.Keys(specified)); !slices.Equal(got, want) {
		t.Errorf("routes    %q\nspecified %q", got, want)
	}
	n := newNode(t, nil)
	for _, p := range patterns {
		method, path, _ := strings.Cut(p, " ")
		req, err := http.NewRequest(method, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, found := n.api.mux.Handler(req); found != p {
			t.Errorf("%s goes to %q", p, found)
		}
	}
}

// Every operation says in its description what an API key needs, and it is
// what the route asks for.
func TestScopes(t *testing.T) {
	n := newNode(t, nil)
	keys := map[string]string{}
	for _, s := range []string{identity.ScopeSend, identity.ScopeRead, identity.ScopeRooms, identity.ScopeUsers, identity.ScopeAdmin, identity.ScopeAdopt} {
		keys[s] = n.key(s)
	}
	for _, rt := range routes {
		n.api.failures = newFailures(time.Now) // more credentials are refused here than one network may try
		method, template, _ := strings.Cut(rt.pattern, " ")
		if d := loadSpec().Paths.Value(template).GetOperation(method).Description; !strings.Contains(d, "scope `"+rt.scope+"`") {
			t.Errorf("%s: the specification does not name the scope %s", rt.pattern, rt.scope)
		}
		path := strings.NewReplacer("{room}", "r", "{seq}", "0", "{user}", "u", "{emoji}", "x", "{key}", "k", "{feed}", "f").Replace(template)
		for scope, key := range keys {
			if scope == rt.scope {
				continue
			}
			if g := n.do(method, path, nil, key, "as u"); g.status != 403 || g.code() != "forbidden" {
				t.Errorf("%s with scope %s: %d %s", rt.pattern, scope, g.status, g.raw)
			}
		}
		for _, credential := range []string{"X: y", "rtk_nobody_nothing", "broken"} {
			if g := n.do(method, path, nil, credential); g.status != 401 || g.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s as %s: %d %s", rt.pattern, credential, g.status, g.raw)
			}
		}
	}
}
