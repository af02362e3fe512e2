package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// threeNodes starts a, b and c, which know each other's tokens and guests.
func threeNodes(t *testing.T) (ns *nodes, all []*testprocess.Node) {
	t.Helper()
	ns = newNodes(t, testdb.MariaDB(t))
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, ns.start(name))
	}
	return ns, all
}

// verb runs a verb with the settings of node a, and returns what it printed.
func (ns *nodes) verb(args ...string) string {
	ns.t.Helper()
	out, errs, err := program.RunWith(testContext(ns.t), ns.env, append(args, "--data-dir", ns.dirs["a"])...)
	if err != nil {
		ns.t.Fatalf("%v: %v\n%s", args, err, errs)
	}
	return strings.TrimSpace(out)
}

// skew is for how long a token is good that has run out by this machine's clock.
const skew = 30 * time.Second

// mint makes a token that "roomtide token" would not.
func (ns *nodes) mint(user chat.UserID, ttl time.Duration) string {
	ns.t.Helper()
	text, err := os.ReadFile(filepath.Join(ns.dirs["a"], "token.key"))
	if err != nil {
		ns.t.Fatal(err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		ns.t.Fatal(err)
	}
	now := time.Now()
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, user, now.Add(-time.Hour).Unix(), now.Add(ttl).Unix()))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(token))
	return token + "." + part(mac.Sum(nil))
}

func dialWith(t *testing.T, n *testprocess.Node, token string) (*client.Client, error) {
	t.Helper()
	c, err := client.Dial(testContext(t), client.Options{
		URL: n.URL(""), Token: func(context.Context) (string, error) { return token, nil },
		MinWait: 5 * time.Millisecond, MaxWait: 50 * time.Millisecond,
	})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// withToken connects a user on each node.
func withToken(t *testing.T, all []*testprocess.Node, token string) (clients []*client.Client) {
	t.Helper()
	for _, n := range all {
		c, err := dialWith(t, n, token)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	return clients
}

// wantGoodbye reads events until the connection is lost, which must be by this goodbye.
func wantGoodbye(t *testing.T, c *client.Client, what string, want chat.Goodbye) {
	t.Helper()
	ev := wantEvent(t, c, what, func(ev client.Event) bool { return ev.News == client.Disconnected || ev.News == client.Ended })
	var bye *client.GoodbyeError
	if !errors.As(ev.Err, &bye) || bye.Code != want.Code {
		t.Errorf("%s: the connection ends with %v, want %s", what, ev.Err, want.Reason)
	}
}

// eventually waits until ok reports true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// What one node is told of users holds on all: a name that the application has claimed
// is no guest's any more, tokens and connections are ended, bans keep users out, tokens
// run out, and a revoked key is worthless.
func TestAccessOnEveryNode(t *testing.T) {
	ns, all := threeNodes(t)
	shop := &backEnd{t: t, n: all[0], key: ns.verb("key", "add", "the shop")}

	var guests []*client.Client
	for _, n := range all {
		guests = append(guests, user(t, n, "ann"))
	}
	token := ns.verb("token", "--user", "ann")
	anns := withToken(t, all, token)
	for i, g := range guests {
		wantGoodbye(t, g, "a guest whose name is claimed", chat.ByeRevoked)
		if _, err := client.Dial(testContext(t), client.Options{URL: all[i].URL(""), User: "ann"}); chat.KindOf(err) != chat.Unauthed {
			t.Errorf("node %d lets a guest have the name: %v", i, err)
		}
	}
	for i, c := range anns { // the user's own connections stay
		if _, err := c.Rooms(testContext(t)); err != nil {
			t.Errorf("ann on node %d: %v", i, err)
		}
	}

	if a := shop.do(http.MethodDelete, "/v1/users/ann/tokens", nil, ""); a.Status != http.StatusOK {
		t.Fatalf("ending tokens: %+v", a)
	}
	for i, c := range anns {
		wantGoodbye(t, c, "a user whose tokens are ended", chat.ByeRevoked)
		if _, err := dialWith(t, all[i], token); chat.KindOf(err) != chat.Unauthed {
			t.Errorf("node %d takes a token that was ended: %v", i, err)
		}
	}

	bobs := withToken(t, all, ns.verb("token", "--user", "bob"))
	if a := shop.do(http.MethodPut, "/v1/rooms/room1", []byte(`{}`), ""); a.Status/100 != 2 {
		t.Fatalf("making a room: %+v", a)
	}
	if a := shop.do(http.MethodPut, "/v1/rooms/room1/members/bob", []byte(`{"role":"member"}`), ""); a.Status != http.StatusNoContent {
		t.Fatalf("making bob a member: %+v", a)
	}
	for _, c := range bobs {
		join(t, c, "room1")
	}
	if a := shop.do(http.MethodPut, "/v1/rooms/room1/members/bob", []byte(`{"role":"banned"}`), ""); a.Status != http.StatusNoContent {
		t.Fatalf("banning bob: %+v", a)
	}
	for i, c := range bobs {
		wantEvent(t, c, "the ban", func(ev client.Event) bool { return ev.News == client.Left })
		if _, err := c.Join(testContext(t), "room1", client.JoinOptions{}); chat.KindOf(err) != chat.Forbidden {
			t.Errorf("node %d lets a banned user in: %v", i, err)
		}
	}
	if a := shop.do(http.MethodDelete, "/v1/users/bob/connections", nil, ""); a.Status != http.StatusOK {
		t.Fatalf("ending connections: %+v", a)
	}
	for _, c := range bobs {
		wantGoodbye(t, c, "a user whose connections are ended", chat.ByeRevoked)
	}

	for _, c := range withToken(t, all, ns.mint("carl", 4*time.Second-skew)) {
		wantGoodbye(t, c, "a user whose token runs out", chat.ByeExpired)
	}

	id, _, _ := strings.Cut(strings.TrimPrefix(shop.key, "rtk_"), "_")
	ns.verb("key", "revoke", id)
	for i, n := range all {
		there := *shop
		there.n = n
		eventually(t, "the key to be refused", func() bool { return there.get("/v1/rooms").Status == http.StatusUnauthorized })
		t.Logf("node %d refuses the key", i)
	}
}
