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

	const messages = 20
	db.Pause()
	var sends sync.WaitGroup
	for i := range messages {
		sends.Go(func() {
			// The node dies before it answers, and the client is closed then.
			_, _ = anna.Send(testContext(t), "lobby", chat.Draft{Text: fmt.Sprint("message ", i), Key: fmt.Sprint("key ", i)})
		})
	}
	for deadline := time.Now().Add(20 * time.Second); counted(t, b, "roomtide_relay_accepted_total") < messages; {
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
	for deadline := time.Now().Add(30 * time.Second); len(texts) < messages+1 && time.Now().Before(deadline); {
		ms, _, err := bob.History(testContext(t), "lobby", client.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		clear(texts)
		for _, m := range ms {
			texts[m.Text]++
		}
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
