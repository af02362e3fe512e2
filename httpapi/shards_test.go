package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

// fakeMover has one move, and notes what it is told.
type fakeMover struct {
	order mover.Order
	said  []string
	move  mover.Status
	err   error
}

func (f *fakeMover) Shards(context.Context) []mover.Shard {
	return []mover.Shard{
		{Name: "a", Slots: "0-511", Count: 512, Size: &store.Size{Rooms: 1, Rows: 2, Bytes: 3}, Healthy: true},
		{Name: "b", Lag: 4, Error: "it does not answer"},
	}
}

func (f *fakeMover) Moves(int64) []mover.Status {
	if f.move.ID == 0 {
		return nil
	}
	return []mover.Status{f.move}
}

func (f *fakeMover) Start(_ context.Context, o mover.Order) ([]mover.Status, error) {
	f.order = o
	if f.err == nil {
		f.move = mover.Status{ID: 1, From: "a", To: o.To[0], Phase: store.MoveWaiting, Rate: o.Rate, Started: 1}
	}
	return f.Moves(1), f.err
}

func (f *fakeMover) say(word string) error { f.said = append(f.said, word); return f.err }

func (f *fakeMover) Pause(context.Context) error  { f.move.Paused = true; return f.say("pause") }
func (f *fakeMover) Resume(context.Context) error { f.move.Paused = false; return f.say("resume") }
func (f *fakeMover) Abort(context.Context) error  { return f.say("abort") }
func (f *fakeMover) SetRate(_ context.Context, rate int) error {
	f.move.Rate = rate
	return f.say("rate")
}

func TestMovingSlots(t *testing.T) {
	f := &fakeMover{}
	n := newNode(t, func(c *Config) { c.Mover = f })
	key := n.key(identity.ScopeAdmin)
	if g := n.want(200, "GET", "/v1/shards", nil, key); len(g.body["shards"].([]any)) != 2 {
		t.Errorf("%s", g.raw)
	}
	if g := n.want(200, "GET", "/v1/moves", nil, key); string(g.raw) != `{"moves":[]}` {
		t.Errorf("%s", g.raw)
	}
	n.want(202, "POST", "/v1/moves", `{"slots":"0-9,500","from":["a"],"to":["b","c"],"rate":5,"keep":9}`, key)
	if o := f.order; o.Slots.String() != "0-9,500" || len(o.From) != 1 || len(o.To) != 2 || o.Rate != 5 || *o.Keep != 9 {
		t.Errorf("%+v", o)
	}
	n.want(202, "POST", "/v1/moves", `{"from":["a"],"to":["b"]}`, key)
	if o := f.order; o.Slots != nil || o.Rate != 0 || o.Keep != nil {
		t.Errorf("%+v", o)
	}
	if g := n.want(200, "PATCH", "/v1/moves", `{"paused":true,"rate":7}`, key); g.body["moves"].([]any)[0].(map[string]any)["rate"] != 7.0 {
		t.Errorf("%s", g.raw)
	}
	n.want(200, "PATCH", "/v1/moves", `{"paused":false}`, key)
	n.want(202, "DELETE", "/v1/moves", nil, key)
	if got := strings.Join(f.said, " "); got != "rate pause resume abort" {
		t.Error(got)
	}
	for body, said := range map[string]string{
		`{"to":["b"],"slots":"0-2000"}`: "not a list of slots", `{"to":"b","from":["a"]}`: "to must be a list", `{"to":["b"],"rate":"x"}`: "rate must be",
		`{"to":["b"],"fast":true}`: "fast",
	} {
		if g := n.do("POST", "/v1/moves", body, key); g.status != 400 || !strings.Contains(string(g.raw), said) {
			t.Errorf("%s: %d %s", body, g.status, g.raw)
		}
	}
	n.want(400, "PATCH", "/v1/moves", `{}`, key)
	f.err = chat.E(chat.Conflict, "move 1 is not over")
	if g := n.want(409, "POST", "/v1/moves", `{"from":["a"],"to":["b"]}`, key); !strings.Contains(string(g.raw), "move 1 is not over") {
		t.Errorf("%s", g.raw)
	}

	// A token does not move data.
	n.want(403, "GET", "/v1/shards", nil, n.token("ann"))
	if g := n.do("GET", "/v1/shards", nil, "as new"); g.status != 403 {
		t.Errorf("a guest: %d %s", g.status, g.raw)
	}
}

// The admin socket has the routes for moving, needs no credential, and has no others.
func TestAdminRoutes(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Mover = &fakeMover{} })
	srv := httptest.NewServer(n.api.Admin())
	defer srv.Close()
	for path, status := range map[string]int{"/v1/shards": 200, "/v1/moves": 200, "/v1/rooms": 404, "/metrics": 404, "/v1/users/ann": 404} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.NewDecoder(resp.Body).Decode(&v); status == 200 && err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
