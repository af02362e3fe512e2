package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(withServers{m}, "", func(p *testprocess.Program) { program = p }))
}

// withServers are the tests, with the database servers that they share.
type withServers struct{ m *testing.M }

func (s withServers) Run() int { return testdb.Main(s.m) }

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// user connects a user with the Go client.
func user(t *testing.T, n *testprocess.Node, name string) *client.Client {
	t.Helper()
	c, err := client.Dial(testContext(t), client.Options{URL: n.URL(""), User: name, MinWait: 5 * time.Millisecond, MaxWait: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func join(t *testing.T, c *client.Client, room chat.RoomID) {
	t.Helper()
	if _, err := c.Join(testContext(t), room, client.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
}

// wantMessage reads events until the next message, which must be this one.
func wantMessage(t *testing.T, c *client.Client, seq chat.Seq, from chat.UserID, text string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				t.Fatalf("%s: events ended: %v", c.User(), c.Err())
			}
			if ev.Kind != chat.EventMessage {
				continue
			}
			if m := ev.Message; m.Seq != seq || m.User != from || m.Text != text {
				t.Fatalf("%s was shown %d %s %.40q, want %d %s %.40q", c.User(), m.Seq, m.User, m.Text, seq, from, text)
			}
			return
		case <-timeout:
			t.Fatalf("%s was not shown message %d", c.User(), seq)
		}
	}
}

// backEnd is a back end of the site, over plain HTTP.
type backEnd struct {
	t   *testing.T
	n   *testprocess.Node
	key string // API key
}

// answer is the part of an HTTP answer that tests check.
type answer struct {
	Status   int
	Seq      chat.Seq `json:"seq"`
	Code     string   `json:"code"`
	Messages []struct {
		Seq  chat.Seq    `json:"seq"`
		User chat.UserID `json:"user"`
		Text string      `json:"message"`
	} `json:"messages"`
}

// newBackEnd makes an API key while the node runs.
func newBackEnd(t *testing.T, n *testprocess.Node, dir string) *backEnd {
	t.Helper()
	out, errs, err := program.Run(testContext(t), "key", "add", "the shop", "--data-dir", dir)
	if err != nil {
		t.Fatalf("making a key: %v\n%s", err, errs)
	}
	return &backEnd{t: t, n: n, key: strings.TrimSpace(out)}
}

func (b *backEnd) get(path string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, "")
}

// post sends a message as the user shop.
func (b *backEnd) post(room, key, text string) answer {
	b.t.Helper()
	body, err := json.Marshal(map[string]string{"message": text})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(http.MethodPost, "/v1/rooms/"+room+"/messages", body, key)
}

func (b *backEnd) do(method, path string, body []byte, idempotencyKey string) (a answer) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(testContext(b.t), method, b.n.URL(path), bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	req.Header.Set("Roomtide-User", "shop")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			b.t.Fatalf("%s %s: %d %q: %v", method, path, resp.StatusCode, raw, err)
		}
	}
	a.Status = resp.StatusCode
	return a
}
