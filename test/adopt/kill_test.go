package adopt

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/consistency"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var (
	rounds = flag.Int("rounds", len(kills), "how many times something is killed: each thing as often as the others")
	seed   = flag.Uint64("seed", 0, "of the order of what is killed, and of when; 0: one by the time")
)

// killRooms is how many rooms are written in while something is killed.
const killRooms = 3

// kills are what is killed, and where in the program.
var kills = map[string]func(*killed){
	"adopt":                 func(k *killed) { k.run.Kill(); k.w.pass(k.n(8)); k.run = k.s.adopt() },
	"adopt, imported":       func(k *killed) { k.at("adopt-imported") },
	"adopt, applied":        func(k *killed) { k.at("adopt-applied") },
	"adopt, mirror written": func(k *killed) { k.at("mirror-written") },
	"node":                  func(k *killed) { k.s.node.Kill(); k.s.startNode() },
	"node, before commit":   func(k *killed) { k.nodeAt("before-commit") },
	"node, after commit":    func(k *killed) { k.nodeAt("after-commit") },
	"source":                func(k *killed) { k.server.Kill(); k.server.Restart() },
	"source, while it waits": func(k *killed) {
		k.server.Kill()
		time.Sleep(time.Duration(k.n(1000)) * time.Millisecond)
		k.server.Restart()
	},
	"adopt and node": func(k *killed) {
		k.run.Kill()
		k.s.node.Kill()
		k.run = k.s.adopt()
		k.s.startNode()
	},
}

// killed is a move in which something is killed again and again.
type killed struct {
	t      *testing.T
	s      *site
	server *testdb.Server
	run    *testprocess.Process
	w      *writers
	rng    *rand.Rand
}

func (k *killed) n(most int) int { return 1 + k.rng.IntN(most) }

// again starts the move again if it has ended, as a service manager would: it ends if the source is
// away while it is opened.
func (k *killed) again() {
	select {
	case <-k.run.Ended():
		k.run = k.s.adopt()
	default:
	}
}

// at has the move killed at a point that it passes as both sides write.
func (k *killed) at(point string) {
	k.run.Kill()
	k.run = k.s.adoptUntil(point, k.n(10))
	ends(k.t, k.run, point)
	k.run = k.s.adopt()
}

// nodeAt has the node killed at a point of its lanes.
func (k *killed) nodeAt(point string) {
	k.s.node.Kill()
	k.s.startNode(fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, 20+k.n(40)))
	select {
	case <-k.s.node.Exited():
	case <-time.After(patience):
		k.t.Fatalf("the node does not pass %s", point)
	}
	k.s.startNode()
}

// While old pages and new clients write, the move, the node and the database of the old chat
// are killed, in any order. In the end each thing that was said is on both sides once, and
// what one writer said is in order; a comparison finds nothing, and what the new clients and
// the store have seen is consistent.
func TestKilled(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	server := testdb.Start(t, testdb.Maria)
	s := newSite(t, server.Database())
	s.exec("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (1, 1, 'old 1 history', '2020-01-01 00:00:00')")
	k := &killed{t: t, s: s, server: server, run: s.adopt(), rng: rand.New(rand.NewPCG(*seed, 0))}
	s.await("history", func() bool { return len(s.messages(1)) == 1 })
	k.w = newWriters(s)
	names, counts := slices.Sorted(maps.Keys(kills)), map[string]int{}
	began := time.Now()
	for i := range *rounds {
		k.again()
		if i%len(names) == 0 {
			k.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		}
		k.w.pass(k.n(15))
		name := names[i%len(names)]
		t.Logf("round %d: %s", i+1, name)
		kills[name](k)
		counts[name]++
	}
	k.w.pass(10)
	said := k.w.end()
	var inRoomtide, inTable string
	defer func() {
		if t.Failed() {
			t.Logf("seed %d; Roomtide: %s; the old table: %s; %s\n%s", *seed, inRoomtide, inTable, s.must("status"), k.run.Output())
		}
	}()
	s.await("both sides are whole", func() bool {
		k.again()
		inRoomtide, inTable = k.w.whole(s.messages), k.w.whole(s.rows)
		return inRoomtide == "" && inTable == ""
	})
	for range 2 {
		s.must("compare")
	}
	for _, v := range k.w.check() {
		t.Error(v)
	}
	for _, room := range []int{1, 2, 3} {
		if n := len(s.messages(room)); n != len(s.rows(room)) {
			t.Errorf("room %d has %d messages", room, n)
		}
	}
	t.Logf("%d rounds in %s with seed %d: %v; %d things said", *rounds, time.Since(began).Round(time.Second), *seed, counts, said)
}

// writers are old pages and new clients.
type writers struct {
	site *site
	work sync.WaitGroup
	stop chan struct{}
	seen *consistency.Recorder // by new clients

	mu sync.Mutex

	// Guarded by mu.
	said  map[string]bool // false: it is not known whether the database has it
	count int
}

func newWriters(s *site) *writers {
	w := &writers{site: s, said: map[string]bool{"old 1 history": true}, stop: make(chan struct{}), seen: consistency.NewRecorder()}
	for i := range 2 {
		w.work.Go(func() {
			w.write(fmt.Sprint("old", i), func(room int, text string) error { return s.say(room, 1+i, text) })
		})
		w.work.Go(func() {
			w.write(fmt.Sprint("new", i), func(room int, text string) error { return w.post(room, 3+i, text) })
		})
	}
	return w
}

// post says something the new way until it is known to be said.
func (w *writers) post(room, user int, text string) error {
	key := "key " + text
	for {
		id := chat.RoomID(fmt.Sprint(room))
		send := w.seen.Send(strings.Fields(text)[0], id, chat.UserID(fmt.Sprint(user)), key, text)
		seq, rev, err := w.site.send(room, user, text, key)
		if err == nil {
			send.OK(seq, rev)
			return nil
		}
		send.Unknown()
		time.Sleep(50 * time.Millisecond)
	}
}

// write says one thing after the other until stop is closed, in one room or another. A row whose
// outcome is not known may be there or not.
func (w *writers) write(name string, say func(room int, text string) error) {
	for i := 0; ; i++ {
		select {
		case <-w.stop:
			return
		case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
		}
		room := 1 + rand.IntN(killRooms)
		text := fmt.Sprintf("%s %d %06d", name, room, i)
		err := say(room, text)
		w.mark(text, err == nil, errors.As(err, new(*mysql.MySQLError)))
	}
}

func (w *writers) mark(text string, sure, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !refused {
		w.said[text] = sure
	}
	if sure {
		w.count++
	}
}

// pass waits until so many more things were said.
func (w *writers) pass(n int) {
	w.mu.Lock()
	from := w.count
	w.mu.Unlock()
	w.site.await("writers go on", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.count >= from+n
	})
}

// end ends the writers, and returns how much was said.
func (w *writers) end() int {
	close(w.stop)
	w.work.Wait()
	return w.count
}

// whole says what is wrong with the texts of a side, "" if nothing is.
func (w *writers) whole(side func(room int) []string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]int{}
	for room := 1; room <= killRooms; room++ {
		last := map[string]string{}
		for _, text := range side(room) {
			seen[text]++
			name, rest, _ := strings.Cut(text, " ")
			if _, known := w.said[text]; !known || !strings.HasPrefix(rest, fmt.Sprint(room, " ")) {
				return "not said there: " + text
			}
			if text < last[name] {
				return text + " comes behind " + last[name]
			}
			last[name] = text
		}
	}
	for text, sure := range w.said {
		if n := seen[text]; n > 1 || n == 0 && sure {
			return fmt.Sprintf("%s is there %d times", text, n)
		}
	}
	return ""
}

// check compares what new clients were told with the store. Rows of old pages were sent at
// some time: before everything else, as far as the checker knows.
func (w *writers) check() []consistency.Violation {
	final, old := consistency.Final{}, consistency.NewRecorder()
	for room := 1; room <= killRooms; room++ {
		id := chat.RoomID(fmt.Sprint(room))
		for _, m := range w.site.all(room) {
			if strings.HasPrefix(m.Key, "adopt:") {
				old.Send(strings.Fields(m.Text)[0], id, m.User, m.Key, m.Text).Unknown()
			}
			final[id] = append(final[id], consistency.Message{Seq: m.Seq, Rev: m.Rev, User: m.User, Key: m.Key, Body: consistency.Hash(m.Text)})
		}
	}
	records := old.Records()
	for i := range records {
		records[i].At -= math.MaxInt64 / 2
		records[i].Op -= math.MaxInt64 / 2
	}
	return consistency.Check(append(records, w.seen.Records()...), final)
}
