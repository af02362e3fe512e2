package adopt

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(tests{m}, "crashpoints", func(p *testprocess.Program) { program = p }))
}

type tests struct{ m *testing.M }

func (t tests) Run() int { return testdb.Main(t.m) }

// patience is for what comes in a second on a machine that is not busy.
const patience = time.Minute

// oldSchema is the table of a chat that polls.
var oldSchema = map[source.Engine]string{
	source.MySQL: `CREATE TABLE messages (
		id INT AUTO_INCREMENT PRIMARY KEY, room_id INT NOT NULL, user_id INT NOT NULL, message TEXT NOT NULL,
		created_at DATETIME NOT NULL, KEY (room_id, id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`,
	source.Postgres: `CREATE TABLE messages (
		id SERIAL PRIMARY KEY, room_id INT NOT NULL, user_id INT NOT NULL, message TEXT NOT NULL, created_at TIMESTAMP NOT NULL)`,
	source.SQLite: `CREATE TABLE messages (
		id INTEGER PRIMARY KEY AUTOINCREMENT, room_id INT NOT NULL, user_id INT NOT NULL, message TEXT NOT NULL, created_at TEXT NOT NULL)`,
}

// databases are those that an old chat may be in: each makes one.
var databases = map[source.Engine]func(*testing.T) string{
	source.MySQL:    func(t *testing.T) string { return testdb.MariaDB(t) },
	source.Postgres: func(t *testing.T) string { return testdb.PostgreSQL(t) },
	source.SQLite: func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "shop.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return "sqlite:" + path
	},
}

// onEach runs a test of a move on each of them.
func onEach(t *testing.T, test func(*testing.T, *site)) {
	for engine, database := range databases {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, newSite(t, database(t)))
		})
	}
}

const oldMapping = `
[source]
name = "shop"
dsn = %q
tz = "UTC"

[message]
from = "messages"
pk = "id"
room = "room_id"
user = "user_id"
text = "message"
time = "created_at"

[roomtide]
url = %q
key_env = "ROOMTIDE_KEY"
`

// site is an old chat, a node, and a move between them.
type site struct {
	t      *testing.T
	db     *sql.DB
	engine source.Engine
	dir    string
	addr   string
	node   *testprocess.Node
	key    string
	http   http.Client
}

func newSite(t *testing.T, dsn string) *site {
	s := &site{t: t, dir: t.TempDir(), addr: testprocess.FreeAddr(t), http: http.Client{Timeout: 30 * time.Second}}
	t.Cleanup(s.http.CloseIdleConnections)
	var err error
	if s.db, s.engine, err = source.Dial(source.Address{DSN: dsn}, nil, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	s.exec(oldSchema[s.engine])
	s.startNode()
	out, errs, err := program.Run(t.Context(), "key", "add", "adopt", "--scope", "*", "--data-dir", filepath.Join(s.dir, "data"))
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	s.key = strings.TrimSpace(out)
	mapping := fmt.Sprintf(oldMapping, dsn, "http://"+s.addr)
	if err := os.WriteFile(filepath.Join(s.dir, "adopt.toml"), []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// mapping adds to adopt.toml.
func (s *site) mapping(text string) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, "adopt.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) startNode(env ...string) {
	s.t.Helper()
	s.node = program.StartWith(s.t, filepath.Join(s.dir, "data"), s.addr, []string{"--no-rate-limits"}, env...)
	s.node.Ready()
}

func (s *site) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.db.ExecContext(s.t.Context(), s.engine.Bind(query), args...); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// say writes the old way.
func (s *site) say(room, user int, text string) error {
	_, err := s.db.ExecContext(s.t.Context(), s.engine.Bind("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (?, ?, ?, ?)"),
		room, user, text, time.Now().UTC().Format(time.DateTime))
	return err
}

// post writes the new way; key makes it safe to repeat.
func (s *site) post(room, user int, text, key string) error {
	_, _, err := s.send(room, user, text, key)
	return err
}

// send is post, and returns what the message is.
func (s *site) send(room, user int, text, key string) (chat.Seq, chat.Rev, error) {
	body, err := json.Marshal(map[string]any{"user": user, "message": text})
	if err != nil {
		return 0, 0, err
	}
	raw, err := s.call("POST", fmt.Sprintf("/v1/rooms/%d/messages", room), body, "Idempotency-Key", key)
	var sent struct {
		Seq chat.Seq
		Rev chat.Rev
	}
	if err == nil {
		err = json.Unmarshal(raw, &sent)
	}
	return sent.Seq, sent.Rev, err
}

func (s *site) call(method, path string, body []byte, header ...string) ([]byte, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	return raw, err
}

// rows are the texts of a room in the old table, in order.
func (s *site) rows(room int) (texts []string) {
	rows, err := s.db.QueryContext(context.Background(), s.engine.Bind("SELECT message FROM messages WHERE room_id = ? ORDER BY id"), room)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			s.t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// message is one of Roomtide.
type message struct {
	Seq     chat.Seq
	Rev     chat.Rev
	User    chat.UserID
	Key     string
	Text    string   `json:"message"`
	ReplyTo chat.Seq `json:"reply_to"`
	Deleted bool
}

// messages are the texts of a room in Roomtide, in order, without those that were deleted.
func (s *site) messages(room int) (texts []string) {
	for _, m := range s.all(room) {
		if !m.Deleted {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// all are the messages of a room, nil if they cannot be had now.
func (s *site) all(room int) (all []message) {
	for after := chat.Seq(0); ; {
		raw, err := s.call("GET", fmt.Sprintf("/v1/rooms/%d/messages?limit=100&after=%d", room, after), nil)
		if err != nil {
			return nil
		}
		var page struct {
			Messages []message
			More     bool
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			s.t.Fatal(err)
		}
		if all = append(all, page.Messages...); len(all) > 0 {
			after = all[len(all)-1].Seq
		}
		if !page.More {
			return all
		}
	}
}

// command is a verb of adopt.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program.Path, append([]string{"adopt"}, append(args, "--file", filepath.Join(s.dir, "adopt.toml"))...)...) //nolint:gosec // it is the program that is tested
	cmd.Env = append(os.Environ(), "ROOMTIDE_KEY="+s.key)
	return cmd
}

// adopt starts the move.
func (s *site) adopt(flags ...string) *testprocess.Process {
	s.t.Helper()
	return testprocess.Spawn(s.t, s.command(append([]string{"run"}, flags...)...))
}

// adoptUntil starts the move, which is killed at a point of package crashpoint.
func (s *site) adoptUntil(point string, n int) *testprocess.Process {
	s.t.Helper()
	cmd := s.command("run")
	cmd.Env = append(cmd.Env, fmt.Sprintf("ROOMTIDE_CRASH=%s:%d", point, n))
	return testprocess.Spawn(s.t, cmd)
}

// verb runs a verb to its end.
func (s *site) verb(args ...string) (string, error) {
	out, err := s.command(args...).CombinedOutput()
	return string(out), err
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := s.verb(args...)
	if err != nil {
		s.t.Fatalf("adopt %v: %v\n%s", args, err, out)
	}
	return out
}

// await asks until it is so.
func (s *site) await(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// phase is what the process that runs says that it does.
func (s *site) phase() string {
	s.t.Helper()
	var status struct{ Run struct{ Phase string } }
	if out := s.must("status", "--json"); json.Unmarshal([]byte(out), &status) != nil {
		s.t.Fatalf("status: %s", out)
	}
	return status.Run.Phase
}
