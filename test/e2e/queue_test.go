package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testnats"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/websocket"
	"github.com/roomtide/roomtide/wire"
)

// counted is the sum of a counter of a node.
func counted(t *testing.T, n *testprocess.Node, name string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(metric(t, n, name)) {
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(strings.TrimSpace(line), ' ')+1:len(line)-1], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// frames speaks the native protocol frame by frame.
type frames struct {
	t   *testing.T
	ws  *websocket.Conn
	ids int64
}

func dialFrames(t *testing.T, n *testprocess.Node, name string) *frames {
	t.Helper()
	ws, err := websocket.Dial(testContext(t), "ws://"+n.Addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	c := &frames{t: t, ws: ws}
	c.say(&wire.Command{Type: wire.Hello, User: chat.UserID(name)})
	c.next("ack")
	return c
}

func (c *frames) say(cmd *wire.Command) {
	c.t.Helper()
	c.ids++
	cmd.ID, cmd.HasID = c.ids, true
	if err := c.ws.WriteMessage(websocket.Text, wire.AppendCommand(nil, cmd)); err != nil {
		c.t.Fatal(err)
	}
}

// next reads frames until one of the type, of which the beginning is enough.
func (c *frames) next(typ string) string {
	c.t.Helper()
	if err := c.ws.NetConn().SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, p, err := c.ws.ReadMessage(1 << 20)
		if err != nil {
			c.t.Fatalf("no %s: %v", typ, err)
		}
		if strings.HasPrefix(string(p), `{"type":"`+typ) {
			return string(p)
		}
		if strings.HasPrefix(string(p), `{"type":"error"`) {
			c.t.Fatalf("%s", p)
		}
	}
}

// over makes an HTTP request as a guest and decodes what comes.
func over(t *testing.T, n *testprocess.Node, user, method, path, body string, header ...string) (status int, location string, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, n.URL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Roomtide-User", user)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %s %v", method, path, resp.Status, err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), answer
}

// The database hangs, messages are sent and wait in the queue, and then the node dies that
// had them. When the database is back the other node has all of them, once.
func TestAcceptedMessagesOutliveTheirNode(t *testing.T) {
	db := testdb.Start(t, testdb.Maria)
	queues := testnats.Start(t, 1, func(o *server.Options) { o.JetStream, o.SyncAlways = true, true })
	ns := newNodes(t, db.Database())
	ns.env = append(ns.env, "ROOMTIDE_NATS_URL="+queues.URL(0), "ROOMTIDE_QUEUE_MODE=overflow")
	a := ns.start("a")
	b := ns.start("b")
	anna := user(t, b, "anna")
	join(t, anna, "lobby")
	if _, err := anna.Send(testContext(t), "lobby", chat.Draft{Text: "before"}); err != nil {
		t.Fatal(err)
	}

	raw := dialFrames(t, b, "rita")
	raw.say(&wire.Command{Type: wire.Join, Room: "lobby"})
	raw.next("ack")

	const posts = "/v1/rooms/lobby/messages"
	if status, _, answer := over(t, b, "hugo", "POST", posts, `{"message":"from hugo"}`); status != 201 {
		t.Fatalf("%d %v", status, answer)
	}

	const messages = 20
	db.Pause()
	raw.say(&wire.Command{Type: wire.Message, Room: "lobby", Text: "raw", HasText: true, Key: "raw key"})
	if frame := raw.next("accepted"); !strings.Contains(frame, `"id":3`) || !strings.Contains(frame, `"key":"raw key"`) {
		t.Errorf("accepted: %s", frame)
	}
	// Without a key of its own the message gets one. A reply to nothing is refused later.
	status, place, answer := over(t, b, "hugo", "POST", posts, `{"message":"posted"}`, "Prefer", "respond-async")
	if status != 202 || !strings.HasPrefix(place, "messages/by-key/") || answer["key"] == nil {
		t.Fatalf("%d %q %v", status, place, answer)
	}
	status, refused, answer := over(t, b, "hugo", "POST", posts, `{"message":"x","reply_to":99}`, "Idempotency-Key", "k", "Prefer", "wait=0")
	if status != 202 {
		t.Fatalf("%d %v", status, answer)
	}
	if status, _, answer := over(t, b, "hugo", "GET", "/v1/rooms/lobby/"+place, ""); status != 202 {
		t.Errorf("while it waits: %d %v", status, answer)
	}
	var sends sync.WaitGroup
	for i := range messages {
		sends.Go(func() {
			// The node dies before it answers, and the client is closed then.
			_, _ = anna.Send(testContext(t), "lobby", chat.Draft{Text: fmt.Sprint("message ", i), Key: fmt.Sprint("key ", i)})
		})
	}
	for deadline := time.Now().Add(20 * time.Second); counted(t, b, "roomtide_relay_accepted_total") <= messages+2; {
		if time.Now().After(deadline) {
			t.Fatalf("%v of %d messages are in the queue", counted(t, b, "roomtide_relay_accepted_total"), messages)
		}
	}
	b.Kill()
	anna.Close()
	sends.Wait()
	db.Continue()

	bob := user(t, a, "bob")
	join(t, bob, "lobby")
	texts := map[string]int{}
	for deadline := time.Now().Add(30 * time.Second); len(texts) < messages+4 && time.Now().Before(deadline); {
		ms, _, err := bob.History(testContext(t), "lobby", client.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		clear(texts)
		for _, m := range ms {
			texts[m.Text]++
		}
	}
	if texts["raw"] != 1 {
		t.Errorf("the message that was accepted is there %d times", texts["raw"])
	}
	askUntilDecided(t, a, place, 200)
	askUntilDecided(t, a, refused, 404)
	for i := range messages {
		if n := texts[fmt.Sprint("message ", i)]; n != 1 {
			t.Errorf("message %d is there %d times", i, n)
		}
	}
	if _, err := bob.Send(testContext(t), "lobby", chat.Draft{Text: "after"}); err != nil {
		t.Error(err)
	}
}

// askUntilDecided asks a node what came of hugo's message.
func askUntilDecided(t *testing.T, n *testprocess.Node, place string, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, _, answer := over(t, n, "hugo", "GET", "/v1/rooms/lobby/"+place, "")
		if status == 202 && time.Now().Before(deadline) {
			continue
		}
		if status != want || want == 200 && answer["seq"] == nil {
			t.Errorf("%s: %d %v, want %d", place, status, answer, want)
		}
		return
	}
}
