package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
)

// An API key that may read makes no members and no rooms, in whatever name it listens.
func TestListeningWithAKeyJoinsNothing(t *testing.T) {
	n := newNode(t, nil)
	admin, reader := n.key(identity.ScopeAll), n.key(identity.ScopeRead)
	n.want(201, "PUT", "/v1/rooms/private", `{"open":false}`, admin)
	for _, lines := range [][]string{{reader, "as mallory"}, {reader}} {
		e := n.listen("/v1/rooms/private/events", lines...)
		e.next("")
		n.want(201, "POST", "/v1/rooms/private/messages", `{"message":"m","user":"ann"}`, admin)
		e.next("message")
		e.stop()
		n.want(404, "GET", "/v1/rooms/none/events", nil, lines...)
	}
	n.want(403, "GET", "/v1/rooms/private", nil, n.token("mallory"))
	if g := n.want(200, "GET", "/v1/rooms/private/members", nil, admin); g.num("count") != 0 {
		t.Errorf("members: %s", g.raw)
	}
	n.want(404, "GET", "/v1/rooms/none", nil, admin)
}

// Ending a user's tokens ends what they have opened, and they open nothing any more.
// A token that was made then is good.
func TestEndedTokensOpenNothing(t *testing.T) {
	n := newNode(t, nil)
	users, send := n.key(identity.ScopeUsers), n.key(identity.ScopeSend)
	ann, bob := n.token("ann"), n.token("bob")
	e, other := n.listen("/v1/rooms/r/events", ann), n.listen("/v1/rooms/r/events", bob)
	e.next("")
	other.next("")
	n.want(403, "DELETE", "/v1/users/ann/tokens", nil, send)
	n.want(403, "DELETE", "/v1/users/ann/tokens", nil, bob)
	n.want(200, "GET", "/v1/rooms", nil, ann)

	g := n.want(200, "DELETE", "/v1/users/ann/tokens", nil, users)
	if g.num("closed") != 1 {
		t.Errorf("%s", g.raw)
	}
	for f := range e.frames { // bob's membership may come first
		if f.name == "goodbye" && f.num("code") != chat.ByeRevoked.Code {
			t.Errorf("%+v", f)
		}
	}
	for _, path := range []string{"/v1/rooms", "/v1/rooms/r/events"} {
		if g := n.want(401, "GET", path, nil, ann); !strings.Contains(string(g.raw), "revoked") {
			t.Errorf("%s: %s", path, g.raw)
		}
	}
	n.want(200, "GET", "/v1/rooms", nil, bob)
	fresh, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ann", "iat": g.num("not_before"), "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	n.want(200, "GET", "/v1/rooms", nil, fresh)
}

// A guest cannot have the name of a user that has a token, or that the back end has
// made a member or speaks as; and one that has it already is put out.
func TestGuestsAreNoUsers(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/closed", `{"open":false}`, admin)
	n.want(201, "PUT", "/v1/rooms/open", `{"open":true}`, admin)
	guest := n.listen("/v1/rooms/open/events", "as ann")
	guest.next("")
	for user, use := range map[string]func(){
		"ann": func() { n.want(200, "GET", "/v1/rooms", nil, n.token("ann")) },
		"bob": func() { n.want(204, "PUT", "/v1/rooms/closed/members/bob", `{"role":"owner"}`, admin) },
		"cid": func() { n.want(204, "PUT", "/v1/rooms/closed/members/cid", `{}`, admin) },
		"dan": func() { n.want(201, "POST", "/v1/rooms/open/messages", `{"message":"m"}`, admin, "as dan") },
		"eve": func() { n.want(201, "POST", "/v1/rooms/open/messages", `{"message":"m","user":"eve"}`, admin) },
	} {
		n.want(200, "GET", "/v1/rooms", nil, "as "+user)
		use()
		for _, path := range []string{"/v1/rooms", "/v1/rooms/closed", "/v1/rooms/open/events"} {
			n.want(401, "GET", path, nil, "as "+user)
		}
	}
	n.want(401, "PUT", "/v1/rooms/closed/members/mallory", `{"role":"owner"}`, "as bob")
	n.want(204, "DELETE", "/v1/rooms/closed/members/guest7", nil, admin) // names no member
	n.want(200, "GET", "/v1/rooms", nil, "as guest7")
	var ended bool
	for f := range guest.frames {
		ended = ended || f.name == "goodbye" && f.num("code") == chat.ByeRevoked.Code
	}
	if !ended {
		t.Error("the guest was not told why")
	}
}

// EventSource of browsers sends no header: a token may be in the address, there and
// nowhere else, and is not logged.
func TestTokenInTheAddressOfEvents(t *testing.T) {
	n := newNode(t, nil)
	ann := n.token("ann")
	q := "?access_token=" + url.QueryEscape(ann)
	e := n.listen("/v1/rooms/r/events"+q, "Origin: https://app.example.com")
	e.next("")
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"m"}`, ann)
	if f := e.next("message"); f.data["user"] != "ann" {
		t.Errorf("%+v", f)
	}
	key := n.key(identity.ScopeAll)
	for _, tt := range []struct {
		path  string
		lines []string
	}{
		{"/v1/rooms/r/events?access_token=x", nil},
		{"/v1/rooms/r/events?access_token=", nil},
		{"/v1/rooms/r/events?access_token=" + key, nil},
		{"/v1/rooms/r/events" + q + "&access_token=x", nil},
		{"/v1/rooms/r/events" + q, []string{ann}},
		{"/v1/rooms/r/events?token=" + ann, nil},
		{"/v1/rooms/r/messages" + q, nil},
		{"/v1/rooms" + q, nil},
	} {
		n.want(401, "GET", tt.path, nil, tt.lines...)
	}
	for _, part := range strings.Split(ann, ".") {
		if strings.Contains(n.log.String(), part[len(part)-12:]) {
			t.Error("the token is in the log")
		}
	}
}

// A stream of an API key ends soon after the key, and does not wait for a heartbeat.
func TestStreamOfARevokedKeyEnds(t *testing.T) {
	n := newNode(t, nil)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, n.key(identity.ScopeAll))
	e := n.listen("/v1/rooms/r/events", n.key(identity.ScopeRead))
	e.next("")
	n.revokeKeys()
	start := time.Now()
	if f := e.next("goodbye"); f.num("code") != chat.ByeRevoked.Code {
		t.Errorf("%+v", f)
	}
	e.end()
	if took := time.Since(start); took > heartbeatTime/2 {
		t.Errorf("after %v", took)
	}
}

// Where guests are welcome but not under the name in the request, the answer says so.
func TestGuestsUnderAForeignName(t *testing.T) {
	n := newNode(t, func(c *Config) {
		c.Known = func(r *http.Request) bool { return r.Host != "evil.example" }
		c.NoGuest = func(r *http.Request) error {
			if r.Host == "evil.example" {
				return chat.E(chat.Unauthed, "not under this name")
			}
			return nil
		}
	})
	ask := func(host string, lines ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", n.url+"/v1/rooms", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header, req.Host = header(lines...), host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Content-Type")
	}
	if status, kind := ask("evil.example", "as ann"); status != 421 || kind != "application/problem+json" {
		t.Errorf("%d %s", status, kind)
	}
	if status, _ := ask("chat.example", "as ann"); status != 200 {
		t.Errorf("%d", status)
	}
	if status, _ := ask("evil.example", n.token("bob")); status != 200 { // has a credential
		t.Errorf("%d", status)
	}
}

func TestSpecificationIsForEveryPage(t *testing.T) {
	n := newNode(t, nil)
	if g := n.want(200, "GET", "/openapi.json", nil, "Origin: https://docs.example"); g.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(g.header)
	}
}
