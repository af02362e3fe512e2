package e2e

import (
	"fmt"
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

	const messages = 20
	db.Pause()
	raw.say(&wire.Command{Type: wire.Message, Room: "lobby", Text: "raw", HasText: true, Key: "raw key"})
	if frame := raw.next("accepted"); !strings.Contains(frame, `"id":3`) || !strings.Contains(frame, `"key":"raw key"`) {
		t.Errorf("accepted: %s", frame)
	}
	var sends sync.WaitGroup
	for i := range messages {
		sends.Go(func() {
			// The node dies before it answers, and the client is closed then.
			_, _ = anna.Send(testContext(t), "lobby", chat.Draft{Text: fmt.Sprint("message ", i), Key: fmt.Sprint("key ", i)})
		})
	}
	for deadline := time.Now().Add(20 * time.Second); counted(t, b, "roomtide_relay_accepted_total") <= messages; {
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
	for deadline := time.Now().Add(30 * time.Second); len(texts) < messages+2 && time.Now().Before(deadline); {
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
	for i := range messages {
		if n := texts[fmt.Sprint("message ", i)]; n != 1 {
			t.Errorf("message %d is there %d times", i, n)
		}
	}
	if _, err := bob.Send(testContext(t), "lobby", chat.Draft{Text: "after"}); err != nil {
		t.Error(err)
	}
}
