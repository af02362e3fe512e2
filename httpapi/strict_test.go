package httpapi

import (
	"strings"
	"testing"

	"github.com/roomtide/roomtide/identity"
)

// A name that the specification does not have is refused and told, in bodies and
// queries of every route, and ignored for a client that prefers that.
func TestUnknownNames(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, admin)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a"}`, "as ann")
	for _, rt := range routes {
		method, template, _ := strings.Cut(rt.pattern, " ")
		path := strings.NewReplacer("{room}", "r", "{seq}", "1", "{user}", "owl", "{emoji}", "%F0%9F%91%8D").Replace(template)
		g := n.do(method, path+"?q=1", nil, admin, "as owl")
		if g.status != 400 || !strings.Contains(string(g.raw), `unknown query parameter \"q\"`) {
			t.Errorf("%s?q=1: %d %s", rt.pattern, g.status, g.raw)
		}
		if method == "GET" || method == "DELETE" || strings.Contains(path, "reactions") {
			continue
		}
		for _, body := range []string{`{"q":1}`, `{"message":"b","title":"b","seq":1,"role":"member","on":true,"read-only":true}`} {
			g := n.do(method, path, body, admin, "as owl")
			if g.status != 400 || !strings.Contains(string(g.raw), "unknown field") {
				t.Errorf("%s %s: %d %s", rt.pattern, body, g.status, g.raw)
			}
		}
	}
	for body, name := range map[string]string{`{"message":"b","Message":"b"}`: "Message", `{"message":"b","token":null,"attachments":[]}`: "attachments", `{"message":"b","archived":true}`: "archived"} {
		if g := n.want(400, "POST", "/v1/rooms/r/messages", body, "as ann"); !strings.Contains(string(g.raw), `unknown field \"`+name) {
			t.Errorf("%s: %s", body, g.raw)
		}
	}
	for _, odd := range []string{`{"\u202e":1}`, `{"` + strings.Repeat("x", 65) + `":1}`} {
		if g := n.want(400, "POST", "/v1/rooms/r/messages", odd, "as ann"); strings.Contains(string(g.raw), "\u202e") || strings.Contains(string(g.raw), "xxx") {
			t.Errorf("%s", g.raw)
		}
	}
	for _, prefer := range []string{"handling=lenient", "respond-async, handling = lenient", "Handling=Lenient"} {
		n.want(200, "GET", "/v1/rooms?_=17", nil, "as ann", "Prefer: "+prefer)
		n.want(200, "PUT", "/v1/rooms/r", `{"title":"R","later":1}`, admin, "Prefer: "+prefer)
	}
	n.want(400, "GET", "/v1/rooms?_=17", nil, "as ann", "Prefer: handling=strict")
}

// No body and PHP's empty array are an empty object; what is no JSON is named.
func TestBodiesThatAreNoObject(t *testing.T) {
	n := newNode(t, nil)
	n.want(201, "PUT", "/v1/rooms/r", nil, "as ann")
	for _, body := range []any{nil, ``, `[]`, `{}`} {
		n.want(200, "PUT", "/v1/rooms/r", body, "as ann")
		n.want(204, "PUT", "/v1/rooms/r/members/ann", body, "as ann")
		n.want(204, "POST", "/v1/rooms/r/typing", body, "as ann")
		n.want(400, "POST", "/v1/rooms/r/messages", body, "as ann")
		n.want(400, "PUT", "/v1/rooms/r/read", body, "as ann")
	}
	for _, tt := range []struct {
		body, line string
		status     int
		cause      string
	}{
		{"\ufeff{\"message\":\"a\"}", "X: y", 400, "byte order mark"},
		{"\x1f\x8b\x08", "Content-Encoding: gzip", 415, "compressed"},
		{`{"message":"a"}`, "Content-Encoding: br", 415, "compressed"},
		{"message=a", "Content-Type: application/x-www-form-urlencoded", 415, "form"},
		{"--x--", "Content-Type: multipart/form-data; boundary=x", 415, "form"},
		{"message=a", "X: y", 400, "not a JSON object"},
		{"{\"message\":\"\xe9\"}", "X: y", 400, "not valid UTF-8"},
	} {
		g := n.do("POST", "/v1/rooms/r/messages", tt.body, "as ann", tt.line)
		if g.status != tt.status || !strings.Contains(string(g.raw), tt.cause) {
			t.Errorf("%q, %s: %d %s", tt.body, tt.line, g.status, g.raw)
		}
	}
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a"}`, "as ann", "Content-Encoding: identity")
}

// Ids as a program has them that keeps them as numbers.
func TestIDsAsNumbers(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/7", `{}`, admin)
	g := n.want(201, "POST", "/v1/rooms/7/messages", `{"message":"a","user":1001}`, admin)
	if g.num("seq") != 1 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", "/v1/rooms/7/messages", nil, admin); !strings.Contains(string(g.raw), `"user":"1001"`) {
		t.Errorf("%s", g.raw)
	}
	n.want(400, "POST", "/v1/rooms/7/messages", `{"message":"a","user":1.5}`, admin)
	n.want(400, "POST", "/v1/rooms/7/messages", `{"message":"a","user":" ann"}`, admin)
}

// Data that some decoder cannot read reaches no client, by POST and by PATCH.
func TestDataThatDecodersRefuse(t *testing.T) {
	n := newNode(t, nil)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a"}`, "as ann")
	deep := strings.Repeat("[", 33) + strings.Repeat("]", 33)
	for _, data := range []string{deep, `"\u0000"`, `{"\u0000":1}`, `1e999`} {
		n.want(400, "POST", "/v1/rooms/r/messages", `{"message":"a","data":`+data+`}`, "as ann")
		n.want(400, "PATCH", "/v1/rooms/r/messages/1", `{"message":"a","data":`+data+`}`, "as ann")
	}
	n.want(200, "PATCH", "/v1/rooms/r/messages/1", `{"message":"a","data":{"cut" : "\ud83d", "\u0061":1}}`, "as ann")
	if g := n.want(200, "GET", "/v1/rooms/r/messages", nil, "as ann"); !strings.Contains(string(g.raw), `"data":{"cut":"`+"\ufffd"+`","a":1}`) {
		t.Errorf("%s", g.raw)
	}
	// Counted as it is stored: six bytes for each three.
	php := `"` + strings.Repeat(`\u4e2d`, 5000) + `"`
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a","data":`+php+`}`, "as ann")
	n.want(413, "POST", "/v1/rooms/r/messages", `{"message":"a","data":"`+strings.Repeat(`\u4e2d`, 5500)+`"}`, "as ann")
	// A retry in another spelling is the same message.
	first := n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a","data":{"x":"中"}}`, "as ann", "Idempotency-Key: k")
	again := n.want(200, "POST", "/v1/rooms/r/messages", "{\n \"message\": \"a\",\n \"data\": {\"x\": \"\\u4e2d\"}\n}", "as ann", "Idempotency-Key: k")
	if first.num("seq") != again.num("seq") {
		t.Errorf("%s, again %s", first.raw, again.raw)
	}
}

// A key is told to the sender of its message and to the host, on every route.
func TestKeysAreTheSenders(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"a"}`, "as ann", "Idempotency-Key: order-4711")
	n.want(204, "PUT", "/v1/rooms/r/members/bob", `{}`, "as bob")
	for _, path := range []string{"/v1/rooms/r/messages", "/v1/rooms/r/changes", "/v1/rooms"} {
		for who, told := range map[string]bool{"as ann": true, "as bob": false} {
			if g := n.want(200, "GET", path, nil, who); strings.Contains(string(g.raw), "order-4711") != told {
				t.Errorf("%s %s: %s", path, who, g.raw)
			}
		}
		if g := n.want(200, "GET", path, nil, admin, "as bob"); !strings.Contains(string(g.raw), "order-4711") {
			t.Errorf("%s as the host: %s", path, g.raw)
		}
	}
	s := n.listen("/v1/rooms/r/events?after=0", "as bob")
	s.next("")
	s.next("member")
	if ev := s.next("message"); ev.data["message"] != "a" || ev.data["key"] != nil {
		t.Errorf("an event has the key: %+v", ev)
	}
}

// A ban outlives that its user is put out, and ends when that is said.
func TestBansStay(t *testing.T) {
	n := newNode(t, nil)
	const bob = "/v1/rooms/r/members/bob"
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, "as ann")
	n.want(204, "PUT", bob, `{"role":"banned"}`, "as ann")
	n.want(204, "DELETE", bob, nil, "as ann")
	n.want(403, "PUT", bob, `{}`, "as bob")
	n.want(204, "PUT", bob, `{"role":"none"}`, "as ann")
	n.want(403, "PUT", bob, `{}`, "as bob")
	n.want(204, "DELETE", bob, nil, "as bob") // leaving is no way out either
	n.want(403, "PUT", bob, `{}`, "as bob")
	n.want(204, "PUT", bob, `{"role":"none","unban":true}`, "as ann")
	n.want(204, "PUT", bob, `{}`, "as bob")
}
