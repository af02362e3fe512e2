package crash

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/internal/testcluster"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/push/standin"
)

// ownerPoints are where the owner of a lane is killed while others are there to take over.
var ownerPoints = []string{"push-before-jobs", "push-before-send", "push-after-send", "push-after-outcome", "webhook-before-post", "webhook-delivered"}

// owners are three nodes with a lane each. Node c is the one that ends; ann writes through a.
type owners struct {
	*telling
	*testcluster.Cluster
}

// rooms are enough for each lane to have some of them, and some of their users.
const rooms = 12

// The node that owns a lane is killed at each step of telling, killed while jobs and
// deliveries wait, and stopped. The next owner of its lane goes on: in the end the newest
// message of each room was told under one id, and the back end has each message at least
// once, with one id, and those of a room in order. A node that is stopped hands its work over,
// which waits for less long than that of one that is killed.
func TestOwnersOfLanesEndWhileTelling(t *testing.T) {
	o := openOwners(t)
	for _, point := range ownerPoints {
		c := o.beginToEnd(point)
		o.burst(3 - 2*strings.Count(point, "push")) // jobs that collapse are not told twice
		if code := c.Wait(2 * time.Minute); code != -1 || !strings.Contains(c.Stderr(), "crashpoint: "+point) {
			t.Fatalf("at %s the node ended with %d\n%s", point, code, c.Stderr())
		}
		delete(o.Nodes, "c")
		o.settle()
	}
	o.killWaiting()
	o.begin()
	killed := o.untold(func() { o.KillNode("c") })
	o.begin()
	stopped := o.untold(func() {
		if code := o.StopNode("c"); code != 0 {
			t.Errorf("the node ends with %d", code)
		}
	})
	t.Logf("the longest time without a notification and without an event: node killed %v, stopped %v", killed, stopped)
	for i, what := range []string{"notification", "event"} {
		if stopped[i] >= killed[i] {
			t.Errorf("a room was without a %s for %v as the owner was stopped, and for %v as it was killed", what, stopped[i], killed[i])
		}
	}
	o.checkPushes()
	o.checkOrder()
	if o.pushes == o.notified || o.back.repeated() == 0 {
		t.Error("nothing came twice, though nodes were killed behind a request")
	}
	if refused := o.services.Refused(); slices.ContainsFunc(refused, func(why string) bool { return why != cutOff }) {
		t.Errorf("the service refuses: %q", refused)
	}
	t.Logf("%d messages, %d notifications, %d of them repeated; %d events, %d of them repeated",
		o.sent.Load(), o.pushes, o.pushes-o.notified, len(o.back.ids), o.back.repeated())
}

func openOwners(t *testing.T) *owners {
	o := &owners{telling: openTelling(t)}
	key := filepath.Join(t.TempDir(), "key")
	out, errs, err := program.Run(t.Context(), "push", "key")
	if err == nil {
		err = os.WriteFile(key, []byte(out), 0o600)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	o.env = append(o.env, "ROOMTIDE_PUSH_WEBPUSH_KEY_FILE="+key, "ROOMTIDE_METRICS_PUBLIC=true")
	o.Cluster = testcluster.Start(t, testcluster.Options{Program: program, Shards: 3, Env: o.env})
	o.telling.dir, o.telling.addr = o.Dir("a"), o.Addr("a")
	o.ann = dial(t, o.telling.addr, "ann")
	t.Cleanup(func() { o.ann.Close() })
	go func() {
		for range o.ann.Events() { // unread events would stop the connection
		}
	}()
	for i := range int64(rooms) {
		reader := dial(t, o.telling.addr, fmt.Sprint("reader", i))
		for _, c := range []*client.Client{o.ann, reader} {
			if _, err := c.Join(t.Context(), room(i), client.JoinOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		o.register(reader)
		reader.Close()
	}
	o.addEndpoint()
	o.burst(3)
	o.settle()
	if code := o.StopNode("c"); code != 0 {
		t.Fatalf("the first node c ended with %d", code)
	}
	return o
}

// begin starts node c, which gets a lane.
func (o *owners) begin() *testprocess.Node {
	o.Helper()
	n := o.Begin("c")
	n.Ready()
	o.Even()
	return n
}

// beginToEnd starts node c, which ends at the point: at what is told next, or at once, before
// it is ready, at what the owner before it has left.
func (o *owners) beginToEnd(point string) *testprocess.Node {
	o.Helper()
	n := o.Begin("c", "ROOMTIDE_CRASH="+point+":1")
	o.await("a lane of node c, or its end", func() bool {
		select {
		case <-n.Exited():
			return true
		default:
			return o.IsEven()
		}
	})
	return n
}

// say sends a message to a room.
func (o *owners) say(i int64) {
	text := fmt.Sprintf("message %d of round %d.", o.sent.Add(1), i)
	if _, err := o.ann.Send(o.Context(), room(i), chat.Draft{Text: text}); err != nil {
		o.Errorf("%s: %v", text, err)
		return
	}
	o.mu.Lock()
	o.newest[i] = text
	o.mu.Unlock()
}

// burst sends so many messages to each room, all rooms at a time.
func (o *owners) burst(count int) {
	var sending sync.WaitGroup
	for i := range int64(rooms) {
		sending.Go(func() {
			for range count {
				o.say(i)
			}
		})
	}
	sending.Wait()
}

// settle waits until all was told.
func (o *owners) settle() {
	o.Helper()
	o.awaitPushes()
	o.await("all events", func() bool { return o.back.distinct() == int(o.sent.Load()) })
}

// killWaiting kills node c after it has found out that neither the services nor the back
// end take anything: what it had to tell waits.
func (o *owners) killWaiting() {
	o.Helper()
	c := o.begin()
	o.refusing.Store(true)
	o.services.Script(standin.Answer{Service: standin.WebPush, Times: 1 << 30, Status: http.StatusServiceUnavailable})
	o.burst(3)
	o.await("jobs and deliveries that wait at node c", func() bool {
		text := o.metrics(c)
		return strings.Contains(text, `roomtide_push_jobs_total{outcome="retried"`) && strings.Contains(text, `roomtide_webhook_requests_total{result="http_4xx"}`)
	})
	o.KillNode("c")
	o.services.Reset()
	o.refusing.Store(false)
	o.settle()
}

func (o *owners) metrics(n *testprocess.Node) string {
	o.Helper()
	resp, err := http.Get(n.URL("/metrics"))
	if err != nil {
		o.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		o.Fatalf("%s, %v", resp.Status, err)
	}
	return string(text)
}

// untold has node c end while ann writes to all rooms all the time, and returns for how long
// a room was without a notification, and without an event, at most.
func (o *owners) untold(end func()) (longest [2]time.Duration) {
	o.Helper()
	var done atomic.Bool
	var writing sync.WaitGroup
	for i := range int64(rooms) {
		writing.Go(func() {
			for !done.Load() && !o.Failed() {
				o.say(i)
				<-time.After(100 * time.Millisecond)
			}
		})
	}
	begin := time.Now()
	o.await("news of each room", func() bool { return o.toldSince(begin) })
	begin = time.Now()
	end()
	ended := time.Now()
	o.await("news of each room after the end of the node", func() bool { return o.toldSince(ended) })
	for _, news := range o.news() {
		for kind, at := range news {
			slices.SortFunc(at, time.Time.Compare)
			last := begin
			for _, next := range at {
				if next.After(last) {
					longest[kind], last = max(longest[kind], next.Sub(last)), next
				}
			}
		}
	}
	done.Store(true)
	writing.Wait()
	o.settle()
	return longest
}

// news are the times of notifications and of events, by room.
func (o *owners) news() (rs [rooms][2][]time.Time) {
	o.mu.Lock()
	for text, ps := range o.told {
		var n, i int
		if _, err := fmt.Sscanf(text, "message %d of round %d.", &n, &i); err != nil {
			o.Errorf("%q: %v", text, err)
		}
		for _, p := range ps {
			rs[i][0] = append(rs[i][0], p.at)
		}
	}
	o.mu.Unlock()
	o.back.mu.Lock()
	defer o.back.mu.Unlock()
	for i := range rs {
		for _, e := range o.back.came[room(int64(i))] {
			rs[i][1] = append(rs[i][1], e.at)
		}
	}
	return rs
}

// toldSince reports whether each room has had a notification and an event since then.
func (o *owners) toldSince(then time.Time) bool {
	for _, news := range o.news() {
		for _, at := range news {
			if !slices.ContainsFunc(at, func(t time.Time) bool { return t.After(then) }) {
				return false
			}
		}
	}
	return true
}

// checkOrder: the back end has heard of the messages of each room in order, and of all.
func (o *owners) checkOrder() {
	o.Helper()
	o.back.mu.Lock()
	defer o.back.mu.Unlock()
	for name, events := range o.back.came {
		for i, e := range events {
			if e.seq != chat.Seq(i+1) {
				o.Errorf("%s: message %d came as the %dth", name, e.seq, i+1)
				break
			}
		}
	}
}
