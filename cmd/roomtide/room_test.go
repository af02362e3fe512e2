package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// office is a running node and the command line of its operator.
type office struct {
	t    *testing.T
	here string // --data-dir
	url  string
	at   []string // flags that reach the node with a key that may everything
}

func openOffice(t *testing.T) *office {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	o := &office{t: t, here: "--data-dir=" + dir, url: "--url=" + n.url}
	o.at = []string{o.url, "--key=" + must(t, "key", "add", o.here, "operator")}
	return o
}

// must runs a verb that has to work.
func (o *office) must(args ...string) string {
	o.t.Helper()
	return must(o.t, append(args, o.at...)...)
}

// fails runs a verb that has to fail with the code and words.
func (o *office) fails(code int, words string, args ...string) {
	o.t.Helper()
	out, errs, got := roomtide(o.t, "", append(args, o.at...)...)
	if got != code || !regexp.MustCompile(words).MatchString(errs) || out != "" {
		o.t.Errorf("%v: exit code %d, want %d; said %q, want %q; printed %q", args, got, code, errs, words, out)
	}
}

// shows fails unless the verb prints what the regexps say.
func (o *office) shows(args []string, lines ...string) {
	o.t.Helper()
	out := o.must(args...)
	for _, line := range lines {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(out) {
			o.t.Errorf("%v: no line %q in\n%s", args, line, out)
		}
	}
}

func TestRoomVerbs(t *testing.T) {
	o := openOffice(t)
	o.shows([]string{"room", "create", "shop/42", "--title=Order 42", "--data={\"n\": 1}", "--read-only", "--no-open"},
		`room +shop/42`, `title +Order 42`, `data +\{"n":1\}`, `rules +by invitation, read-only`, `members +0`)
	o.fails(1, `is there already.*room set`, "room", "create", "shop/42")
	o.shows([]string{"room", "set", "shop/42", "--open", "--no-read-only", "--topic=Ask", "--data={}"},
		`title +Order 42`, `topic +Ask`, `rules +open`)
	if out := o.must("room", "show", "shop/42"); strings.Contains(out, "data") {
		t.Errorf("the data is still there:\n%s", out)
	}
	o.shows([]string{"room", "archive", "shop/42"}, `rules +open, archived`)
	o.must("room", "create", "other", "--open")
	if out := o.must("room", "list"); strings.Contains(out, "shop/42") || !strings.Contains(out, "other") {
		t.Errorf("an archived room is listed:\n%s", out)
	}
	o.shows([]string{"room", "list", "--archived", "--prefix=shop", "--order=activity"},
		`ROOM +TITLE +RULES +MEMBERS +MESSAGES +ACTIVE`, `shop/42 +Order 42 +open, archived +0 +0 +20.*`)
	o.shows([]string{"room", "archive", "shop/42", "--undo"}, `rules +open`)
	o.fails(2, `say --yes.*room archive`, "room", "delete", "shop/42")
	o.shows([]string{"room", "delete", "shop/42", "--yes"}, `shop/42 is deleted`)
	for _, verb := range [][]string{{"room", "show", "shop/42"}, {"room", "set", "shop/42", "--title=x"}, {"room", "archive", "shop/42"},
		{"member", "list", "shop/42"}, {"member", "add", "shop/42", "ann"},
		{"member", "remove", "shop/42", "ann"}, {"member", "ban", "shop/42", "ann"}, {"member", "unban", "shop/42", "ann"}} {
		o.fails(1, `there is no room "shop/42"`, verb...)
	}
	o.fails(1, `there is no room "never"`, "room", "delete", "never", "--yes")
	o.fails(2, `what is to change`, "room", "set", "other")
	o.fails(2, `no JSON`, "room", "set", "other", "--data={")
	o.fails(1, `title`, "room", "set", "other", "--title="+strings.Repeat("x", 300))
	o.fails(2, `--limit`, "room", "list", "--limit=-1")
}

// Lists come in pages, and end where they are asked to; each line of JSON is an entry.
func TestListsAreWhole(t *testing.T) {
	o := openOffice(t)
	const rooms = 230
	for i := range rooms {
		o.must("room", "create", "r"+string(rune('a'+i/26))+string(rune('a'+i%26)), "--open")
	}
	for limit, want := range map[string]int{"0": rooms, "7": 7, "150": 150} {
		out := o.must("room", "list", "--json", "--limit="+limit)
		lines := strings.Split(out, "\n")
		seen := map[string]bool{}
		for _, line := range lines {
			var r room
			if err := json.Unmarshal([]byte(line), &r); err != nil || !r.Open {
				t.Fatalf("%q: %v", line, err)
			}
			seen[r.Room] = true
		}
		if len(lines) != want || len(seen) != want {
			t.Errorf("--limit=%s: %d lines, %d rooms", limit, len(lines), len(seen))
		}
	}
	if n := strings.Count(o.must("room", "list", "--no-open", "--limit=0"), "\n"); n != 0 {
		t.Errorf("%d rooms by invitation", n)
	}
}

func TestMemberVerbs(t *testing.T) {
	o := openOffice(t)
	mallory := "--token=" + must(t, "token", o.here, "--user=mallory")
	o.must("room", "create", "r", "--open")
	o.shows([]string{"member", "add", "r", "ann", "--name=Ann", "--role=owner"}, `ann is in r`)
	o.must("member", "add", "r", "ann") // keeps her role
	o.must("member", "add", "r", "ben")
	o.shows([]string{"member", "list", "r"}, `USER +NAME +ROLE +UNTIL`, `ann +Ann +owner +-`, `ben +- +member +-`)
	o.shows([]string{"member", "role", "r", "ben", "moderator"}, `ben is moderator in r`)
	o.shows([]string{"member", "list", "r", "--role=moderator"}, `ben +- +moderator +-`)
	o.shows([]string{"member", "role", "r", "ben", "muted", "--for=1h"}, `ben is muted in r until 20.*`)

	o.shows([]string{"member", "ban", "r", "mallory", "--until=2099-01-02T03:04:05Z"}, `mallory is banned in r until 2099-01-0.*`)
	o.shows([]string{"member", "list", "r", "--role=banned"}, `mallory +- +banned +2099-01-0.*`)
	o.fails(1, `you are banned|is banned`, "member", "add", "r", "mallory")
	if _, errs, code := roomtide(t, "", "send", o.url, mallory, "--room=r", "let me in"); code != 1 || !strings.Contains(errs, "banned") {
		t.Errorf("a banned user: %d %s", code, errs)
	}
	o.must("member", "remove", "r", "mallory") // the ban stays
	o.shows([]string{"member", "list", "r", "--role=banned"}, `mallory +- +banned +2099.*`)
	o.shows([]string{"member", "unban", "r", "mallory"}, `mallory may join r again`)
	must(t, "send", o.url, mallory, "--room=r", "thank you")

	start := time.Now()
	var told struct{ Room, User, Role, Until string }
	if err := json.Unmarshal([]byte(o.must("member", "ban", "r", "mallory", "--for=36h", "--json")), &told); err != nil {
		t.Fatal(err)
	}
	until, err := time.Parse(time.RFC3339, told.Until)
	if err != nil || told.Role != "banned" || told.User != "mallory" || until.Sub(start) < 35*time.Hour || until.Sub(start) > 37*time.Hour {
		t.Errorf("%+v %v", told, err)
	}
	o.must("member", "remove", "r", "ben")
	if out := o.must("member", "list", "r"); strings.Contains(out, "ben") {
		t.Errorf("he is still there:\n%s", out)
	}
	o.fails(2, `over already`, "member", "ban", "r", "x", "--for=-1h")
	o.fails(2, `over already`, "member", "ban", "r", "x", "--until=2001-01-02T03:04:05Z")
	o.fails(2, `not both`, "member", "ban", "r", "x", "--for=1h", "--until=2099-01-02T03:04:05Z")
	o.fails(2, `for the role muted`, "member", "role", "r", "x", "owner", "--for=1h")
	o.fails(2, `must be one of`, "member", "role", "r", "x", "king")
}

func TestUserVerbs(t *testing.T) {
	o := openOffice(t)
	o.fails(1, `nothing was said of a user "ann"`, "user", "show", "ann")
	o.shows([]string{"user", "set", "ann", "--name=Ann", "--avatar=/a.png", `--data={"vip":true}`}, `name +Ann`, `avatar +/a.png`, `data +\{"vip":true\}`)
	o.must("user", "set", "ann", "--avatar=")
	if out := o.must("user", "show", "ann", "--json"); out != `{"user":"ann","name":"Ann","data":{"vip":true}}` {
		t.Error(out)
	}
	o.fails(2, `what is to change`, "user", "set", "ann")
	o.fails(1, `avatar`, "user", "set", "ann", "--avatar=javascript:alert(1)")

	token := must(t, "token", o.here, "--user=ann")
	for range 30 {
		must(t, "send", o.url, "--token="+token, "--room=r", "hello")
	}
	must(t, "send", o.url, "--user=ben", "--room=r", "hello")
	o.fails(2, `say --yes`, "user", "messages", "delete", "ann")
	if out := o.must("user", "messages", "delete", "ann", "--yes"); out != "30 messages of ann deleted" {
		t.Error(out)
	}
	if out := o.must("user", "messages", "delete", "ann", "--yes", "--json"); out != `{"deleted":0,"user":"ann"}` {
		t.Error(out)
	}
	o.shows([]string{"user", "revoke", "ann", "--connections"}, `0 connections of ann ended`)
	must(t, "send", o.url, "--token="+token, "--room=r", "the token is good")
	o.shows([]string{"user", "revoke", "ann"}, `tokens of ann are good if they were made from .*`)
	if _, errs, code := roomtide(t, "", "send", o.url, "--token="+token, "--room=r", "x"); code != 1 || !strings.Contains(errs, "revoked") {
		t.Errorf("an ended token: %d %s", code, errs)
	}
}

// What is wrong with the address or the key is said with what to do about it.
func TestBackEndErrors(t *testing.T) {
	o := openOffice(t)
	weak := must(t, "key", "add", o.here, "--scope=send", "weak")
	for _, verb := range []string{"room list", "room show r", "room set r --title=x", "member list r", "member ban r u", "user set u --name=x", "user revoke u"} {
		args := strings.Fields(verb)
		_, errs, code := roomtide(t, "", append(args, o.url)...)
		if code != 2 || !strings.Contains(errs, "ROOMTIDE_KEY") {
			t.Errorf("%s without a key: %d %s", verb, code, errs)
		}
		_, errs, code = roomtide(t, "", append(args, o.url, "--key=rtk_a_b")...)
		if code != 1 || !strings.Contains(errs, "key list") {
			t.Errorf("%s with a wrong key: %d %s", verb, code, errs)
		}
		_, errs, code = roomtide(t, "", append(args, "--url=http://127.0.0.1:1", "--key=x")...)
		if code != 1 || !strings.Contains(errs, "is the node running") {
			t.Errorf("%s without a node: %d %s", verb, code, errs)
		}
		_, errs, code = roomtide(t, "", append(args, "--url=chat.example.org", "--key=x")...)
		if code != 2 || !strings.Contains(errs, "--url is not a URL") {
			t.Errorf("%s without a URL: %d %s", verb, code, errs)
		}
	}
	if _, errs, code := roomtide(t, "", "room", "list", o.url, "--key="+weak); code != 1 || !regexp.MustCompile(`scope read.*key add`).MatchString(errs) {
		t.Errorf("a key that may not: %d %s", code, errs)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, errs, code := roomtide(t, "", "room", "list", "--url="+other.URL, "--key=x"); code != 1 || !strings.Contains(errs, "is that a roomtide node") {
		t.Errorf("another server: %d %s", code, errs)
	}
}

// A node that is busy is asked again when it says so.
func TestBusyNodeIsAskedAgain(t *testing.T) {
	asked := 0
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 4 {
			w.WriteHeader(http.StatusTooManyRequests)
			w.Write([]byte(`{"status":429,"detail":"too often","code":"rate_limited","retry_after":1}`))
			return
		}
		w.Write([]byte(`{"rooms":[{"room":"a\u001b[31m","title":"x\ny"}],"more":false}`))
	}))
	defer node.Close()
	if out := must(t, "room", "list", "--url="+node.URL, "--key=k"); asked != 4 || !strings.Contains(out, "a[31m  x y") {
		t.Errorf("asked %d times: %q", asked, out)
	}
	asked = -1000
	if _, errs, code := roomtide(t, "", "room", "list", "--url="+node.URL, "--key=k"); code != 1 || !strings.Contains(errs, "too often") || asked != -1000+askAgain {
		t.Errorf("a node that stays busy was asked %d times: %d %s", asked+1000, code, errs)
	}
}
