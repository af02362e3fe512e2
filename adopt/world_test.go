package adopt

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
)

// worldNode is a node that keeps messages and members as far as a move looks at them.
type worldNode struct {
	mu       sync.Mutex
	messages map[string][]message // guarded by mu; by room
	feed     []feedPage           // guarded by mu; what the next reads of the feed answer
	refuse   int                  // guarded by mu; counts imports down, and the one at which it is 0 is answered with 503
	members  chan memberItem      // those that were imported
}

func (n *worldNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var answer any
	switch part := strings.Split(r.URL.Path, "/"); {
	case r.URL.Path == "/v1/import":
		if n.refuse--; n.refuse == -1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer = n.imports(r)
	case part[2] == "feeds" && len(n.feed) > 0:
		answer, n.feed = n.feed[0], n.feed[1:]
	case part[2] == "rooms" && n.messages[part[3]] != nil:
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		answer = map[string]any{"messages": n.messages[part[3]][after:]}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client notices
}

// imports is called with mu held.
func (n *worldNode) imports(r *http.Request) any {
	var p part
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		return err.Error()
	}
	type reply struct{ Seq int64 }
	replies := []reply{}
	for _, i := range p.Messages {
		all := n.messages[i.Room]
		at := slices.IndexFunc(all, func(m message) bool { return m.Seq == i.Seq || i.Seq == 0 && m.User == i.User && m.Key == i.Key })
		if at < 0 {
			at = len(all)
			n.messages[i.Room] = append(all, message{Room: i.Room, Seq: int64(at) + 1, User: i.User, Key: i.Key})
		}
		m := &n.messages[i.Room][at]
		m.Text, m.Deleted = i.Text, i.Deleted
		replies = append(replies, reply{m.Seq})
	}
	for _, i := range p.Members {
		n.members <- i
	}
	return map[string]any{"messages": replies}
}

// all are the messages of a room, as "author: text", "" for those that are deleted.
func (n *worldNode) all(room string) (texts []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.messages[room] {
		text := m.User + ": " + m.Text
		if m.Deleted {
			text = ""
		}
		texts = append(texts, text)
	}
	return texts
}

// world is a move whose history is copied, between a table in SQLite and a node.
type world struct {
	*Move
	t     *testing.T
	files *Files
	node  *worldNode
	db    *sql.DB
}

const worldMapping = `
[source]
name = "shop"
dsn = %q

[message]
from = "messages"
pk = "id"
room = %q
user = "author"
text = "body"
time = "at"
`

// newWorld makes one; more is further lines of the mapping.
func newWorld(t *testing.T, room, more string) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "old.db")
	must(os.WriteFile(path, nil, 0o600))
	dsn := "sqlite:" + path
	db, engine, err := source.Dial(source.Address{DSN: dsn}, nil, true)
	must(err)
	t.Cleanup(func() { db.Close() })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE messages (id INTEGER PRIMARY KEY, room TEXT NOT NULL, author TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL)")
	must(err)
	files, err := mapping.Parse("adopt.toml", fmt.Appendf(nil, worldMapping+more, dsn, room))
	must(err)
	src, err := source.Open(t.Context(), files, source.Options{})
	must(err)
	t.Cleanup(func() { src.Close() })
	kept, err := OpenState(t.Context(), filepath.Join(t.TempDir(), "state"))
	must(err)
	must(kept.indexRows(t.Context()))
	must(kept.setFact(t.Context(), copiedMessages, "now"))
	n := &worldNode{messages: map[string][]message{}, members: make(chan memberItem, 100)}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	node, err := NewNode(server.URL, "key")
	must(err)
	t.Cleanup(node.Close)
	t.Cleanup(func() { kept.Close() })
	cfg := Config{Mapping: files, Source: src, Node: node, State: kept, Writer: db, Engine: engine, Key: "id", Follow: Following(files, src, nil)}
	cfg.Follow.Kind = follow.Polling
	m, err := New(cfg)
	must(err)
	if m.mirror != nil {
		must(m.mirror.prepare(t.Context()))
	}
	return &world{m, t, &Files{Mapping: files, Node: node, State: kept}, n, db}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.t.Context(), query, args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// say writes row 1 the old way.
func (w *world) say(room, user, text string, at time.Time) {
	w.t.Helper()
	w.exec("INSERT INTO messages (id, room, author, body, at) VALUES (1, ?, ?, ?, ?)", room, user, text, at.UTC().Format(time.DateTime))
}
