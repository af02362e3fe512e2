package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/websocket"
)

// rawClient sends frames as they are, valid or not.
type rawClient struct {
	t  *testing.T
	ws *websocket.Conn
}

func dialRaw(t *testing.T, n *testprocess.Node) *rawClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ws, err := websocket.Dial(ctx, "ws://"+n.Addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if err := ws.NetConn().SetDeadline(time.Now().Add(time.Minute)); err != nil { // for the whole test
		t.Fatal(err)
	}
	return &rawClient{t, ws}
}

func (r *rawClient) send(frame string) {
	r.t.Helper()
	if err := r.ws.WriteMessage(websocket.Text, []byte(frame)); err != nil {
		r.t.Fatal(err)
	}
}

// receive returns the next ack, error or goodbye; events are skipped.
func (r *rawClient) receive() (m map[string]any) {
	r.t.Helper()
	for {
		_, p, err := r.ws.ReadMessage(1 << 20)
		if err != nil {
			r.t.Fatal(err)
		}
		m = nil
		if err := json.Unmarshal(p, &m); err != nil {
			r.t.Fatalf("%q: %v", p, err)
		}
		switch m["type"] {
		case "ack", "error", "goodbye":
			return m
		}
	}
}

// closed returns the code of the close frame, which must come.
func (r *rawClient) closed() int {
	r.t.Helper()
	for {
		_, _, err := r.ws.ReadMessage(1 << 20)
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// An invalid command is answered with a code and a sentence, the connection goes on, and
// the room is unchanged.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	n := program.Start(t, dir, testprocess.FreeAddr(t))
	n.Ready()
	owner := dialRaw(t, n)
	for _, f := range []string{`{"type":"hello","id":1,"user":"owner"}`, `{"type":"join","id":2,"room":"r"}`, `{"type":"message","id":3,"room":"r","message":"kept","key":"k"}`} {
		owner.send(f)
		if m := owner.receive(); m["type"] != "ack" {
			t.Fatalf("%s: %v", f, m)
		}
	}
	eve := dialRaw(t, n)
	eve.send(`{"type":"hello","id":0,"user":"eve"}`)
	eve.receive()
	for i, c := range []struct{ what, frame, code string }{
		{"malformed JSON", `{"type":"message","id":%d,`, "invalid"},
		{"no object", `[1,2,%d]`, "invalid"},
		{"no type", `{"id":%d,"room":"r"}`, "invalid"},
		{"unknown type", `{"type":"dance","id":%d}`, "unknown_type"},
		{"a type that is no word", `{"type":{"$regex":"x"},"id":%d}`, "invalid"},
		{"an object for a text", `{"type":"message","id":%d,"room":"r","message":{"$ne":1}}`, "invalid"},
		{"no room", `{"type":"join","id":%d}`, "invalid"},
		{"a room with a control character", `{"type":"join","id":%d,"room":"a\u0000b"}`, "invalid"},
		{"a very long room", `{"type":"join","id":%d,"room":"` + strings.Repeat("r", 129) + `"}`, "too_large"},
		{"a room that is not there", `{"type":"message","id":%d,"room":"nowhere","message":"x"}`, "not_member"},
		{"not a member", `{"type":"message","id":%d,"room":"r","message":"x"}`, "not_member"},
		{"history of a stranger", `{"type":"history","id":%d,"room":"r"}`, "not_member"},
		{"an empty message", `{"type":"message","id":%d,"room":"r","message":""}`, "invalid"},
		{"a long message", `{"type":"message","id":%d,"room":"r","message":"` + strings.Repeat("x", 4001) + `"}`, "too_large"},
		{"an edit of nothing", `{"type":"edit","id":%d,"room":"r","seq":99,"message":"x"}`, "not_member"},
		{"a fraction for a number", `{"type":"delete","id":%d,"room":"r","seq":1.5}`, "invalid"},
		{"a huge number", `{"type":"delete","id":%d,"room":"r","seq":1e99}`, "invalid"},
		{"another's name", `{"type":"message","id":%d,"user":"owner","room":"r","message":"x"}`, "forbidden"},
		{"a second hello", `{"type":"hello","id":%d,"user":"eve"}`, "invalid"},
	} {
		frame := c.frame
		if strings.Contains(frame, "%d") {
			frame = fmt.Sprintf(frame, i+1)
		}
		eve.send(frame)
		m := eve.receive()
		if m["type"] != "error" || m["code"] != c.code || m["message"] == "" {
			t.Errorf("%s: %v, want %s", c.what, m, c.code)
		}
	}
	owner.send(`{"type":"message","id":4,"room":"r","message":"another","key":"k"}`)
	if m := owner.receive(); m["code"] != "conflict" {
		t.Errorf("the same key with another body: %v", m)
	}
	owner.send(`{"type":"history","id":5,"room":"r"}`)
	if m := owner.receive(); len(m["messages"].([]any)) != 1 {
		t.Errorf("the room after all that: %v", m)
	}
}

// A frame that breaks the protocol ends the connection, with a code for the reason.
func TestBrokenFrames(t *testing.T) {
	n := program.Start(t, t.TempDir(), testprocess.FreeAddr(t))
	n.Ready()
	hello := func() *rawClient {
		r := dialRaw(t, n)
		r.send(`{"type":"hello","id":1,"user":"u"}`)
		r.receive()
		return r
	}
	big := hello()
	big.send(`{"type":"message","room":"r","message":"` + strings.Repeat("x", 65<<10) + `"}`)
	if code := big.closed(); code != chat.ByeTooLarge.Code {
		t.Errorf("an oversized frame is closed with %d", code)
	}
	odd := hello()
	odd.send("{\"type\":\"message\",\"room\":\"r\",\"message\":\"\xff\xfe\"}")
	if code := odd.closed(); code != chat.ByeProtocol.Code {
		t.Errorf("wrong UTF-8 is closed with %d", code)
	}
}

// Without guests an expired token, a forged one and none are refused.
func TestTokens(t *testing.T) {
	dir := t.TempDir()
	n := program.Start(t, dir, testprocess.FreeAddr(t), "ROOMTIDE_GUESTS=off")
	n.Ready()
	cfg := config.Default()
	cfg.DataDir = dir
	secret, err := server.Secret(cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(secret []byte) string {
		token, err := identity.Mint(secret, "ann", "Ann", []chat.RoomID{"r"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	forged := mint([]byte(strings.Repeat("x", 32)))
	good := mint(secret)
	// RFC 7519 3.1: a token whose exp is long past, signed with another key.
	stale := "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODAsImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	r := dialRaw(t, n)
	for what, frame := range map[string]string{
		"no hello":       `{"type":"join","id":1,"room":"r"}`,
		"a guest":        `{"type":"hello","id":1,"user":"ann"}`,
		"a forged token": `{"type":"hello","id":1,"token":"` + forged + `"}`,
		"a stale token":  `{"type":"hello","id":1,"token":"` + stale + `"}`,
	} {
		r.send(frame)
		if m := r.receive(); m["code"] != "unauthenticated" {
			t.Errorf("%s: %v", what, m)
		}
	}
	r.send(`{"type":"hello","id":2,"token":"` + good + `"}`)
	if m := r.receive(); m["user"] != "ann" || m["name"] != "Ann" {
		t.Fatalf("%v", m)
	}
	r.send(`{"type":"join","id":3,"room":"r"}`)
	if m := r.receive(); m["type"] != "ack" {
		t.Fatalf("%v", m)
	}
	// The back end ends a user's connections at once.
	b := newBackEnd(t, n, dir)
	if a := b.do("DELETE", "/v1/users/ann/connections", nil, ""); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	if code := r.closed(); code != chat.ByeRevoked.Code {
		t.Errorf("closed with %d", code)
	}
	if strings.Contains(n.Stderr(), good) || strings.Contains(n.Stderr(), forged) {
		t.Error("a token is in the log")
	}
}
