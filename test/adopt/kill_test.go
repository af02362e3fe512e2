package adopt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/internal/testdb"
)

// rounds is how many times something is killed.
const rounds = 6

// While old pages and new clients write, the move, the node and the database of the old chat
// are killed, one after the other in any order. In the end each thing that was said is on both
// sides once, and what one writer said is in order.
func TestKilled(t *testing.T) {
	server := testdb.Start(t, testdb.Maria)
	s := newSite(t, server.Database())
	s.exec("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (1, 1, 'history', '2020-01-01 00:00:00')")
	run := s.adopt()
	s.await("history", func() bool { return len(s.messages(1)) == 1 })
	w := &writers{site: s, said: map[string]bool{"history": true}, stop: make(chan struct{})}
	for i := range 2 {
		w.work.Go(func() { w.write(fmt.Sprint("old", i), func(text, _ string) error { return s.say(1, 1+i, text) }) })
		w.work.Go(func() {
			w.write(fmt.Sprint("new", i), func(text, key string) error { return s.post(1, 3+i, text, key) })
		})
	}
	for i := range rounds {
		w.pass(10)
		switch i % 3 {
		case 0:
			run.Kill()
			w.pass(5)
			run = s.adopt()
		case 1:
			s.node.Kill()
			s.startNode()
		case 2:
			server.Kill()
			server.Restart()
		}
	}
	w.pass(10)
	close(w.stop)
	w.work.Wait()
	s.await("both sides are whole", func() bool { return w.whole(s.messages(1)) == "" && w.whole(s.rows(1)) == "" })
	for side, texts := range map[string][]string{"Roomtide": s.messages(1), "the old table": s.rows(1)} {
		if wrong := w.whole(texts); wrong != "" {
			t.Errorf("%s: %s", side, wrong)
		}
	}
	for range 2 {
		s.must("compare")
	}
	if t.Failed() {
		t.Logf("%s", run.Output())
	}
}

// writers are old pages and new clients.
type writers struct {
	site *site
	work sync.WaitGroup
	stop chan struct{}

	mu sync.Mutex

	// Guarded by mu.
	said  map[string]bool // false: it is not known whether the database has it
	count int
}

// write says one thing after the other until stop is closed. A row whose outcome is not
// known may be there or not; a message is sent again with its key until it is.
func (w *writers) write(name string, say func(text, key string) error) {
	for i := 0; ; i++ {
		select {
		case <-w.stop:
			return
		case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
		}
		text := fmt.Sprintf("%s %06d", name, i)
		for {
			err := say(text, "key "+text)
			if err == nil || strings.HasPrefix(name, "old") {
				w.mark(text, err == nil, errors.As(err, new(*mysql.MySQLError)))
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
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

// whole says what is wrong with the texts of a side, "" if nothing is.
func (w *writers) whole(texts []string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]int{}
	last := map[string]string{}
	for _, text := range texts {
		seen[text]++
		if _, known := w.said[text]; !known {
			return "nobody has said " + text
		}
		name, _, _ := strings.Cut(text, " ")
		if text < last[name] {
			return text + " comes behind " + last[name]
		}
		last[name] = text
	}
	for text, sure := range w.said {
		if n := seen[text]; n > 1 || n == 0 && sure {
			return fmt.Sprintf("%s is there %d times, of %d texts", text, n, len(texts))
		}
	}
	return ""
}
