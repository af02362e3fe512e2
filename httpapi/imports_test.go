package httpapi

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/feed"
	"github.com/roomtide/roomtide/hostevents"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/wire"
)

// fakeFeeds has one event, always.
type fakeFeeds struct{}

func (*fakeFeeds) List(context.Context) ([]feed.Info, error) {
	return []feed.Info{{Name: "mirror", At: "0.1"}}, nil
}

func (*fakeFeeds) Make(_ context.Context, name string, users bool) (feed.Info, bool, error) {
	return feed.Info{Name: name, At: "0.1", Users: users}, true, nil
}

func (*fakeFeeds) Drop(context.Context, string) error { return nil }

func (*fakeFeeds) Read(_ context.Context, _, after string, limit int, wait time.Duration) (*feed.Page, error) {
	if after != "0.1" || limit != 10 || wait != time.Second {
		return nil, chat.E(chat.Internal, "")
	}
	e := hostevents.Event{ID: "evt_1", Message: &chat.Message{Room: "r", Seq: 1, User: "ann", Text: "one"}}
	e.Kind = hostevents.MessageCreated
	return &feed.Page{Events: []hostevents.Event{e}, Next: "0.2"}, nil
}

// fakeAdoption is a control database.
type fakeAdoption struct {
	mu   sync.Mutex
	last store.Adoption
}

func (f *fakeAdoption) Adoption(context.Context) (store.Adoption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, nil
}

func (f *fakeAdoption) SaveAdoption(_ context.Context, a store.Adoption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Generation != f.last.Generation+1 {
		return chat.E(chat.Conflict, "")
	}
	f.last = a
	return nil
}

// An import has the author and the time of where it comes from, and says of everything
// that does not fit what it is; the rest is done.
func TestImport(t *testing.T) {
	n := newNode(t, nil)
	key := n.key(identity.ScopeAdopt, identity.ScopeRead)
	long := strings.Repeat("x", 20<<10)
	body := `{"history":true,
		"rooms":[{"room":"shop","title":"Shop","open":true},{"room":"` + strings.Repeat("r", 200) + `"}],
		"users":[{"user":1,"name":"Ann"},{"name":"nobody"}],
		"members":[{"room":"shop","user":1,"role":"owner"},{"room":"shop","user":2},{"room":"none","user":2},{"room":"shop","user":3,"role":"king"}],
		"messages":[
			{"room":"shop","user":1,"key":"m:1","message":"first","time":"2019-01-02T03:04:05.678Z","name":"Ann"},
			{"room":"shop","user":2,"key":"m:2","message":"` + long + `"},
			{"room":"shop","user":2,"message":"no key"},
			{"room":"shop","seq":77,"message":"no such message"},
			{"room":"shop","user":2,"key":"m:3","message":"second","reply_to":1,"data":{"file":"a.png"}},
			{"room":"shop","user":2,"key":"m:4","message":"x","colour":"red"},
			{"room":"other","user":2,"key":"m:5","message":"","deleted":true}],
		"reads":[{"room":"shop","user":2,"seq":99},{"room":"nowhere","user":2,"seq":1}]}`
	g := n.want(200, "POST", "/v1/import", strings.NewReader(body), key)
	told := g.body["messages"].([]any)
	for i, seq := range []int{1, 0, 0, 0, 2, 0, 1} {
		if m, ok := told[i].(map[string]any); ok != (seq != 0) || ok && fmt.Sprint(m["seq"]) != fmt.Sprint(seq) {
			t.Errorf("message %d: %v, want seq %d", i, told[i], seq)
		}
	}
	if marks := fmt.Sprint(g.body["reads"]); marks != "[2 <nil>]" {
		t.Errorf("read marks stand at %s", marks)
	}
	refused := map[string]bool{}
	for _, p := range g.body["problems"].([]any) {
		p := p.(map[string]any)
		refused[fmt.Sprint(p["list"], p["item"], " ", p["problem"].(map[string]any)["code"])] = true
	}
	for _, want := range []string{
		"rooms1 too_large", "users1 invalid", "members2 not_found", "members3 invalid", "messages1 too_large", "messages2 invalid",
		"messages3 not_found", "messages5 invalid", "reads1 not_found",
	} {
		if !refused[want] {
			t.Errorf("%s is not among the problems: %s", want, g.raw)
		}
		delete(refused, want)
	}
	if len(refused) > 0 {
		t.Errorf("more was refused: %v", refused)
	}
	page := n.want(200, "GET", "/v1/rooms/shop/messages", nil, key)
	m := page.body["messages"].([]any)
	if first := m[0].(map[string]any); first["time"] != "2019-01-02T03:04:05.678Z" || first["name"] != "Ann" || first["user"] != "1" || len(m) != 2 {
		t.Errorf("%s", page.raw)
	}
	raised := n.want(200, "POST", "/v1/import", `{"raise":true,"messages":[{"room":"shop","user":2,"key":"m:2","message":"`+long+`"},{"room":"shop","user":1,"key":"m:1","message":"edited"}]}`, key)
	if told := raised.body["messages"].([]any); told[0].(map[string]any)["created"] != true || told[1].(map[string]any)["changed"] != true {
		t.Errorf("%s", raised.raw)
	}
	n.want(403, "POST", "/v1/import", `{}`, n.token("ann"))
	n.want(400, "POST", "/v1/import", `{"messages":{}}`, key)
	n.want(413, "POST", "/v1/import", strings.NewReader(`{"messages":["`+strings.Repeat("x", importBytes)+`"]}`), key)
}

// A message answers another of the same import, wherever that comes to lie: in the same
// change, in an earlier one, or nowhere, as it was refused.
func TestImportedReplies(t *testing.T) {
	n := newNode(t, nil)
	key := n.key(identity.ScopeAdopt, identity.ScopeRead)
	long := strings.Repeat("x", 140<<10) // more than one change has
	g := n.want(200, "POST", "/v1/import", strings.NewReader(`{"raise":true,"messages":[
		{"room":"a","user":1,"message":"no key"},
		{"room":"b","user":1,"key":"1","message":"first of b"},
		{"room":"a","user":1,"key":"2","message":"`+long+`"},
		{"room":"a","user":1,"key":"3","message":"of an earlier change","reply_item":2},
		{"room":"a","user":1,"key":"4","message":"of the same change","reply_item":3},
		{"room":"a","user":1,"key":"5","message":"of one that was refused","reply_item":0},
		{"room":"a","user":1,"key":"6","message":"of another room","reply_item":1},
		{"room":"a","user":1,"key":"7","message":"of itself","reply_item":7},
		{"room":"a","user":1,"key":"8","message":"below","reply_item":-1},
		{"room":"a","user":1,"key":"9","message":"two","reply_item":2,"reply_to":1}]}`), key)
	var refused []string
	for _, p := range g.body["problems"].([]any) {
		refused = append(refused, fmt.Sprint(p.(map[string]any)["item"]))
	}
	slices.Sort(refused)
	if got := strings.Join(refused, " "); got != "0 6 7 8 9" {
		t.Errorf("refused: %s in %s", got, g.raw)
	}
	var replies []string
	for _, m := range n.want(200, "GET", "/v1/rooms/a/messages", nil, key).body["messages"].([]any) {
		replies = append(replies, fmt.Sprint(m.(map[string]any)["reply_to"]))
	}
	if got := strings.Join(replies, " "); got != "<nil> 1 2 <nil>" {
		t.Errorf("replies: %s", got)
	}
}

// The specification and the decoder know the same names.
func TestImportedNames(t *testing.T) {
	names := specified()["POST /v1/import"].items["messages"]
	if len(names) < 10 {
		t.Fatalf("%v", names)
	}
	for name := range names {
		if m, _ := wire.DecodeImported([]byte(`{"` + name + `":1}`)); len(m.Unknown) > 0 {
			t.Errorf("%s is not known", name)
		}
	}
	fields := reflect.TypeFor[wire.Imported]()
	if known := fields.NumField() - 1; known != len(names) { // all but Unknown
		t.Errorf("the specification has %d names, the decoder %d", len(names), known)
	}
}

// A back end learns which chat is in force with each answer, and what it writes for another
// generation is refused.
func TestGeneration(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Adoptions = &fakeAdoption{} })
	var now time.Time
	n.api.adoptions.now = func() time.Time { now = now.Add(2 * adoptionAge); return now }
	key := n.key(identity.ScopeAll)
	if g := n.want(200, "GET", "/v1/adoption", nil, key); g.body["state"] != "none" || g.header.Get(adoptionHeader) != "" {
		t.Errorf("%s", g.raw)
	}
	n.want(201, "PUT", "/v1/rooms/a", `{}`, key)
	n.want(200, "PUT", "/v1/adoption", `{"state":"following","generation":1}`, key)
	n.want(409, "PUT", "/v1/adoption", `{"state":"switched","generation":3}`, key)
	n.want(400, "PUT", "/v1/adoption", `{"state":"sideways","generation":2}`, key)
	g := n.want(201, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann", generationHeader+": 1")
	if h := g.header.Get(adoptionHeader); h != "following; generation=1" {
		t.Error(h)
	}
	n.want(200, "PUT", "/v1/adoption", `{"state":"switching","generation":2}`, key)
	n.want(503, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann", generationHeader+": 1")
	n.want(201, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann")
	n.want(200, "PUT", "/v1/adoption", `{"state":"switched","generation":3}`, key)
	g = n.want(409, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann", generationHeader+": 1")
	if h := g.header.Get(adoptionHeader); h != "switched; generation=3" {
		t.Error(h)
	}
	n.want(200, "GET", "/v1/rooms/a/messages", nil, key, generationHeader+": 1")
	n.want(201, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann", generationHeader+": 3")
	n.want(400, "POST", "/v1/rooms/a/messages", `{"message":"x"}`, key, "as ann", generationHeader+": old")
}
