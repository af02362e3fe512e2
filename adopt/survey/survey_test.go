package survey

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// tables makes a SQLite database of statements.
func tables(t *testing.T, statements ...string) (dsn string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%.100s: %v", s, err)
		}
	}
	return "sqlite:" + path
}

func find(t *testing.T, dsn string, w Wanted) (*Found, error) {
	t.Helper()
	return Find(t.Context(), mapping.Source{DSN: dsn}, w, source.Options{})
}

// report surveys what was found.
func report(t *testing.T, f *Found, o Options) *Report {
	t.Helper()
	m, err := mapping.Parse("adopt.toml", []byte(f.Document.String()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := source.Open(t.Context(), m, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := Look(t.Context(), s, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An installation that lacks parts of what a preset knows is read without them, and
// the file says what was left out.
func TestPresetWithoutParts(t *testing.T) {
	dsn := tables(t,
		"CREATE TABLE wirechat_messages (id INTEGER PRIMARY KEY, conversation_id INT, sendable_id INT, sendable_type TEXT, reply_id INT, body TEXT, type TEXT, created_at TEXT)",
		"CREATE TABLE wirechat_participants (id INTEGER PRIMARY KEY, conversation_id INT, participantable_id INT)",
		"CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
		"INSERT INTO wirechat_messages VALUES (1, 3, 1, 'u', NULL, 'look', 'text', '2025-01-01 00:00:00')",
		"INSERT INTO wirechat_participants VALUES (1, 3, 1), (2, 3, 2)")
	f, err := find(t, dsn, Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	text := f.Document.String()
	for _, want := range []string{"# deleted = ", "# file = ", "# [[room]]", "# role = ", "# left = ", "# [[read]]", `# "wirechat_attachments" = `, "\n[[member]]", "\n[[user]]"} {
		if !strings.Contains(text, want) {
			t.Errorf("the file lacks %q:\n%s", want, text)
		}
	}
	if f.Preset != "wirechat" || len(f.Left) < 6 || !slices.ContainsFunc(f.Left, func(l string) bool { return strings.Contains(l, "no column deleted_at") }) {
		t.Errorf("%s, left out: %v", f.Preset, f.Left)
	}
	if r := report(t, f, Options{}); r.Messages != 1 || r.Refused != 0 || r.Members.Rows != 2 {
		t.Errorf("%+v", r)
	}
}

func TestFindErrors(t *testing.T) {
	orders := tables(t, "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INT)")
	nokey := tables(t, "CREATE TABLE messages (id INT, room_id INT, user_id INT, message TEXT, created_at TEXT)")
	for _, c := range []struct {
		dsn  string
		w    Wanted
		want string
	}{
		{orders, Wanted{}, "no table looks like one of messages; name it with --table. There are orders"},
		{orders, Wanted{Table: "order"}, "there is no table order"},
		{orders, Wanted{Table: "orders"}, "has no column that looks like an author"},
		{orders, Wanted{Preset: "chatfy"}, `there is no preset "chatfy"; there are ajax-chat`},
		{orders, Wanted{Preset: "chatify"}, "do not have the columns of the preset chatify"},
		{nokey, Wanted{}, "no primary key of one column"},
		{orders, Wanted{Table: "orders", TZ: "Mars"}, ""},
	} {
		_, err := find(t, c.dsn, c.w)
		if err == nil || !strings.Contains(err.Error(), c.want) || chat.KindOf(err) != chat.Invalid {
			t.Errorf("%+v: %v, want %q", c.w, err, c.want)
		}
	}
}

// A sample is spread over all messages, and texts that are encoded still are noticed.
func TestSample(t *testing.T) {
	rows := make([]string, 10_000)
	for i := range rows {
		text := fmt.Sprintf("text %d", i)
		if i >= 9000 {
			text = "caf&eacute;"
		}
		rows[i] = fmt.Sprintf("(%d, 1, %d, '%s', '2025-01-01 00:00:00')", i+1, i%5, text)
	}
	dsn := tables(t, "CREATE TABLE messages (id INTEGER PRIMARY KEY, room_id INT, user_id INT, message TEXT, created_at TEXT)",
		"INSERT INTO messages VALUES "+strings.Join(rows, ", "))
	f, err := find(t, dsn, Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	r := report(t, f, Options{Sample: 1000, OneWay: "it cannot be written", Progress: func(done, total int64) { last = done }})
	if r.Messages != 10_000 || r.Looked != 1000 || last != 1000 || len(r.Newest) != 20 || r.Newest[19].Key != "10000" || r.Newest[0].Key != "9981" {
		t.Errorf("%d of %d, told %d, the newest are %v", r.Looked, r.Messages, last, r.Newest)
	}
	if len(r.Hints) != 1 || r.Hints[0].Decoder != "entities" || r.Hints[0].Count != 100 {
		t.Errorf("hints: %v", r.Hints)
	}
	var page strings.Builder
	if err := r.Print(&page, Style{Columns: 100, Now: time.Date(2025, 1, 1, 0, 30, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10,000, from 2025-01-01 to 2025-01-01 00:00 UTC (30 minutes ago)", "1,000 of them, spread over all", "100  texts look made for entities", "One direction only\n  New clients see what old pages write, and not the other way round: it cannot be written."} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
	if r = report(t, f, Options{}); r.Looked != 10_000 || r.Hints[0].Count != 1000 {
		t.Errorf("%d, %v", r.Looked, r.Hints)
	}
}

func TestTextForTerminals(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"abc", "abc     "}, {"abcdefghij", "abcdefg…"}, {"你好世界再见", "你好世… "}, {"a\x1b[31mb\nc", "a[31mb c"}, {"e\u0301", "e\u0301       "},
	} {
		if got := pad(c.in, 8); got != c.want || cells(got) != 8 {
			t.Errorf("%q: %q of %d columns, want %q", c.in, got, cells(got), c.want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for dsn, want := range map[string]string{"mysql://u@h/shop": "shop", "sqlite:/a/b/chat.db": "chat", "csv:/data/old/": "old", "postgres://h/x?sslmode=off": "x", "csv:": "chat"} {
		if got := NameOf(dsn); got != want {
			t.Errorf("%s: %s", dsn, got)
		}
	}
}
