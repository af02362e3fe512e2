package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
)

// named is a token that also says what the user is called.
func (n *node) named(user chat.UserID, name string) string {
	n.t.Helper()
	raw, err := identity.Mint(secret, user, name, nil, time.Hour)
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

// authors are the names of the messages of a room, in order.
func (n *node) authors(room string, lines ...string) string {
	n.t.Helper()
	var names []string
	for _, m := range n.want(200, "GET", "/v1/rooms/"+room+"/messages?after=0", nil, lines...).body["messages"].([]any) {
		name, _ := m.(map[string]any)["name"].(string)
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// members are the names and roles of a room's members.
func (n *node) members(path string, lines ...string) string {
	n.t.Helper()
	var out []string
	for _, m := range n.want(200, "GET", path, nil, lines...).body["members"].([]any) {
		f := m.(map[string]any)
		out = append(out, fmt.Sprint(f["user"], " ", f["name"], " ", f["role"]))
	}
	return strings.Join(out, ",")
}

// A message has the name its author had: when the author leaves, is renamed, is no
// member, or has a name for this one message.
func TestNamesStayWithMessages(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, admin)
	n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"1"}`, n.named("u_8841", "Grace Hopper"))
	n.want(204, "DELETE", "/v1/rooms/r/members/u_8841", nil, n.named("u_8841", "Grace Hopper"))
	n.want(200, "PUT", "/v1/users/shop", `{"name":"The Shop"}`, admin)
	s := n.listen("/v1/rooms/r/events", admin, "as watcher")
	s.next("")
	for _, body := range []string{
		`{"message":"2","user":"shop"}`,                     // has a profile, is no member
		`{"message":"3","user":"shop","name":"Order 4711"}`, // a name for this message
		`{"message":"4","user":"u_8841"}`,                   // has left
		`{"message":"5","user":"nobody"}`,                   // nothing is known
	} {
		n.want(201, "POST", "/v1/rooms/r/messages", body, admin)
	}
	for _, want := range []any{"The Shop", "Order 4711", "Grace Hopper", nil} {
		if f := s.next("message"); f.data["name"] != want {
			t.Errorf("the event has the name %v, want %v", f.data["name"], want)
		}
	}
	n.want(200, "PUT", "/v1/users/u_8841", `{"name":"Rear Admiral Hopper"}`, admin)
	n.want(200, "PATCH", "/v1/rooms/r/messages/2", `{"message":"2!"}`, admin, "as shop")
	if f := s.next("edited"); f.data["name"] != "The Shop" {
		t.Errorf("edited: %v", f.data)
	}
	n.want(200, "DELETE", "/v1/rooms/r/messages/4", nil, admin)
	if got := n.authors("r", admin); got != "Grace Hopper,The Shop,Order 4711,Grace Hopper," {
		t.Errorf("names: %s", got)
	}
	for _, as := range [][]string{{n.token("ann")}, {"as guest"}} {
		if g := n.do("POST", "/v1/rooms/r/messages", `{"message":"x","name":"Admin"}`, as...); g.status != 403 {
			t.Errorf("a user takes a name: %d %s", g.status, g.raw)
		}
	}
	if g := n.do("POST", "/v1/rooms/r/messages", `{"message":"x","user":"shop","name":"a\u0000"}`, admin); g.status != 400 {
		t.Errorf("a name with NUL: %d %s", g.status, g.raw)
	}
}

// A new name, said over HTTP or by a newer token, reaches every room; an older token
// does not take it back, and an empty name takes it away.
func TestRenamedInEveryRoom(t *testing.T) {
	n := newNode(t, nil)
	admin, old := n.key(identity.ScopeAll), n.named("ann", "Ann")
	for _, room := range []string{"a", "b", "c"} {
		n.want(201, "PUT", "/v1/rooms/"+room, `{"open":true}`, admin)
		n.want(204, "PUT", "/v1/rooms/"+room+"/members/ann", `{}`, old)
	}
	renamed := func(name any) {
		t.Helper()
		s := map[string]*ear{}
		for _, room := range []string{"a", "b", "c"} {
			s[room] = n.listen("/v1/rooms/"+room+"/events", admin, "as watcher", "Last-Event-ID: 0")
		}
		for room, e := range s {
			for got := any("none"); got != name; {
				f, ok := <-e.frames
				if !ok {
					t.Fatalf("%s: the stream ended", room)
				}
				if f.name == "member" && f.data["user"] == "ann" {
					got = f.data["name"]
				}
			}
			e.stop()
		}
	}
	renamed("Ann")
	g := n.want(200, "PUT", "/v1/users/ann", `{"name":"Ann Smith","avatar":"/a.png","data":{"vip":true}}`, admin)
	if string(g.raw) != `{"user":"ann","name":"Ann Smith","avatar":"/a.png","data":{"vip":true}}` {
		t.Errorf("%s", g.raw)
	}
	renamed("Ann Smith")
	old = n.backdated("ann", "Ann", -time.Minute)
	n.want(200, "GET", "/v1/rooms", nil, old)
	if g := n.want(200, "GET", "/v1/users/ann", nil, old); g.body["name"] != "Ann Smith" {
		t.Errorf("an older token has taken the name back: %s", g.raw)
	}
	n.want(200, "GET", "/v1/rooms", nil, n.named("ann", "Ann Jones"))
	renamed("Ann Jones")
	n.want(200, "PUT", "/v1/users/ann", `{"name":"","data":{}}`, admin)
	renamed(nil)
	if g := n.want(200, "GET", "/v1/users/ann", nil, "as guest"); string(g.raw) != `{"user":"ann","avatar":"/a.png"}` {
		t.Errorf("%s", g.raw)
	}
}

// backdated is a token of some time ago.
func (n *node) backdated(user chat.UserID, name string, ago time.Duration) string {
	n.t.Helper()
	raw, err := mint(user, name, time.Now().Add(ago))
	if err != nil {
		n.t.Fatal(err)
	}
	return raw
}

func TestUsers(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeUsers, identity.ScopeRead)
	n.want(200, "PUT", "/v1/users/a%2Fb", `{"name":"A","avatar":"https://example.org/a.png?s=64"}`, admin)
	n.want(200, "PUT", "/v1/users/ben", `{"data":[1, "x"]}`, admin)
	if g := n.want(200, "GET", "/v1/users?of=ben&of=nobody&of=a%2Fb", nil, n.token("ann")); string(g.raw) !=
		`{"users":[{"user":"ben","data":[1,"x"]},{"user":"a/b","name":"A","avatar":"https://example.org/a.png?s=64"}]}` {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "PUT", "/v1/users/ben", `{"data":""}`, admin)
	n.want(200, "GET", "/v1/users/ben", nil, admin)
	for body, status := range map[string]int{
		`{"avatar":"//evil.example/a.png"}`: 400, `{"avatar":"/\\evil.example"}`: 400, `{"avatar":"http://example.org/a.png"}`: 400,
		`{"avatar":"javascript:alert(1)"}`: 400, `{"avatar":"data:image/png;base64,x"}`: 400, `{"avatar":"a.png"}`: 400,
		`{"avatar":"https://user@example.org/a"}`: 400, `{"avatar":"/a b"}`: 400, `{"avatar":"/a\u202e"}`: 400,
		`{"avatar":"/` + strings.Repeat("x", 512) + `"}`: 413, `{"name":"` + strings.Repeat("x", 257) + `"}`: 413,
		`{"name":"a\u0007"}`: 400, `{"name":5}`: 400, `{"data":"` + strings.Repeat("x", 4096) + `"}`: 413,
	} {
		if g := n.do("PUT", "/v1/users/ann", body, admin); g.status != status {
			t.Errorf("%.60s: %d %s, want %d", body, g.status, g.raw, status)
		}
	}
	for _, as := range [][]string{{n.token("ann")}, {"as abe"}} {
		if g := n.do("PUT", "/v1/users/ann", `{"name":"Boss"}`, as...); g.status != 403 {
			t.Errorf("a user says what they are called: %d %s", g.status, g.raw)
		}
	}
	if g := n.do("GET", "/v1/users/ann", nil, admin); g.status != 404 {
		t.Errorf("%d %s", g.status, g.raw)
	}
	for query, status := range map[string]int{"": 400, "?of=": 400, "?of=a&of=a": 400, "?of=" + strings.Repeat("x&of=", 101) + "y": 413} {
		if g := n.do("GET", "/v1/users"+query, nil, admin); g.status != status {
			t.Errorf("%.40s: %d %s, want %d", query, g.status, g.raw, status)
		}
	}
}

// Bans are listed for those who may lift them, and end by themselves; so do mutes.
func TestBansAndMutes(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, "as owner")
	for _, u := range []string{"ann", "ben", "cid"} {
		n.want(204, "PUT", "/v1/rooms/r/members/"+u, `{}`, "as "+u)
	}
	s := n.listen("/v1/rooms/r/events", "as ann")
	s.next("")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	n.want(204, "PUT", "/v1/rooms/r/members/ben", `{"role":"banned","until":"`+until.Format(time.RFC3339)+`","data":{"why":"spam"}}`, "as owner")
	if f := s.next("member"); f.data["role"] != "banned" || f.data["until"] != until.Format("2006-01-02T15:04:05.000Z") || f.data["data"] == nil {
		t.Errorf("the event of a ban: %v", f.data)
	}
	n.want(204, "PUT", "/v1/rooms/r/members/eve", `{"role":"banned","name":"Eve"}`, admin)
	n.want(204, "PUT", "/v1/rooms/r/members/cid", `{"role":"muted"}`, "as owner")
	for _, as := range [][]string{{"as owner"}, {admin}} {
		if got := n.members("/v1/rooms/r/members?role=banned", as...); got != "ben <nil> banned,eve Eve banned" {
			t.Errorf("banned: %s", got)
		}
	}
	if got := n.members("/v1/rooms/r/members?role=banned&after=ben&limit=1", admin); got != "eve Eve banned" {
		t.Errorf("the second page: %s", got)
	}
	if got := n.members("/v1/rooms/r/members?role=muted", "as ann"); got != "cid <nil> muted" {
		t.Errorf("muted: %s", got)
	}
	if got := n.members("/v1/rooms/r/members", "as ann"); got != "ann <nil> member,cid <nil> muted,owner <nil> owner" {
		t.Errorf("members: %s", got)
	}
	for _, tt := range []struct {
		method, path, body, as string
		status                 int
	}{
		{"GET", "/members?role=banned", "", "as ann", 403},
		{"GET", "/members?role=king", "", "as ann", 400},
		{"GET", "/members?role=none", "", "as ann", 400},
		{"POST", "/messages", `{"message":"x"}`, "as cid", 403},
		{"PUT", "/messages/1/reactions/%F0%9F%91%8D", "", "as cid", 404},
		{"GET", "/messages", "", "as cid", 200},
		{"POST", "/messages", `{"message":"x"}`, "as ben", 403},
		{"PUT", "/members/ben", `{}`, "as ben", 403},
		{"PUT", "/members/cid", `{"role":"member","until":"2999-01-01T00:00:00Z"}`, "as owner", 400},
		{"PUT", "/members/cid", `{"role":"muted","until":"2001-01-01T00:00:00Z"}`, "as owner", 400},
		{"PUT", "/members/cid", `{"role":"muted","until":"tomorrow"}`, "as owner", 400},
		{"PUT", "/members/cid", `{"until":"2999-01-01T00:00:00Z"}`, admin, 400},
		{"PUT", "/members/cid", `{"data":1}`, "as cid", 400},
		{"PUT", "/members/ann", `{"role":"muted"}`, "as cid", 403},
	} {
		var body any
		if tt.body != "" {
			body = tt.body
		}
		if g := n.do(tt.method, "/v1/rooms/r"+tt.path, body, tt.as); g.status != tt.status {
			t.Errorf("%s %s %s %s: %d %s, want %d", tt.method, tt.path, tt.body, tt.as, g.status, g.raw, tt.status)
		}
	}
}

// What an application keeps about a room and a member comes back, in events too.
func TestDataOfRoomsAndMembers(t *testing.T) {
	n := newNode(t, nil)
	admin := n.key(identity.ScopeAll)
	n.want(201, "PUT", "/v1/rooms/r", `{"title":"R","topic":"All about R","avatar":"/r.png","data":{ "type": "order", "id": 4711 }}`, admin)
	s := n.listen("/v1/rooms/r/events", admin, "as watcher")
	s.next("")
	g := n.want(200, "GET", "/v1/rooms/r", nil, admin)
	if !strings.Contains(string(g.raw), `"topic":"All about R","avatar":"/r.png","data":{"type":"order","id":4711}`) {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "PUT", "/v1/rooms/r", `{"topic":"","data":[]}`, admin)
	if f := s.next("room"); f.data["topic"] != nil || f.data["data"] != nil || f.data["avatar"] != "/r.png" || f.data["title"] != "R" {
		t.Errorf("the event of the room: %v", f.data)
	}
	n.want(204, "PUT", "/v1/rooms/r/members/ann", `{"name":"Ann","data":{"team":"blue"}}`, admin)
	s.next("member") // came
	if f := s.next("member"); f.data["name"] != "Ann" || f.data["role"] != "member" || fmt.Sprint(f.data["data"]) != "map[team:blue]" {
		t.Errorf("the event of the member: %v", f.data)
	}
	n.want(204, "PUT", "/v1/rooms/r/members/ann", `{"name":"","role":"member"}`, admin)
	if f := s.next("member"); f.data["name"] != nil || f.data["data"] == nil {
		t.Errorf("the event of a name taken away: %v", f.data)
	}
	if g := n.want(200, "GET", "/v1/rooms", nil, n.token("ann")); !strings.Contains(string(g.raw), `"avatar":"/r.png"`) {
		t.Errorf("%s", g.raw)
	}
	for body, status := range map[string]int{
		`{"topic":"` + strings.Repeat("x", 1025) + `"}`: 413, `{"avatar":"//x"}`: 400, `{"data":"` + strings.Repeat("x", 4096) + `"}`: 413, `{"topic":"a\u0000"}`: 400,
	} {
		if g := n.do("PUT", "/v1/rooms/r", body, admin); g.status != status {
			t.Errorf("%.50s: %d %s", body, g.status, g.raw)
		}
	}
}
