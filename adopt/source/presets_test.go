package source

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/internal/testdb"
)

var update = flag.Bool("update", false, "write the wanted rows of the presets anew")

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// fill runs the statements of a file, one a line.
func fill(t testing.TB, dsn, statements string) {
	t.Helper()
	db, _, err := Dial(Address{DSN: dsn}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // SET SESSION counts for what follows
	for line := range strings.Lines(statements) {
		exec(t, db, strings.TrimSuffix(strings.TrimSpace(line), ";"))
	}
}

func exec(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

// catalogOf reads the tables of a database.
func catalogOf(t testing.TB, dsn string) mapping.Catalog {
	t.Helper()
	db, e, err := Dial(Address{DSN: dsn}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := Catalog(t.Context(), db, e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parse(t testing.TB, dsn, tz, text string) *mapping.Mapping {
	t.Helper()
	head := fmt.Sprintf("[source]\nname = 'test'\ndsn = '%s'\ntz = '%s'\n", dsn, tz)
	m, err := mapping.Parse("adopt.toml", []byte(head+text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

// now is after all times of the fixtures.
func now() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func open(t testing.TB, m *mapping.Mapping) *Tables {
	t.Helper()
	s, err := Open(t.Context(), m, Options{Now: now, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Every preset is recognised by the tables of its chat, and reads them.
func TestPresets(t *testing.T) {
	for _, p := range mapping.Presets() {
		t.Run(p.Name, func(t *testing.T) {
			file := filepath.Join("testdata", "presets", p.Name)
			statements, err := os.ReadFile(file + ".sql")
			if err != nil {
				t.Fatal(err)
			}
			dsn := testdb.MariaDB(t)
			fill(t, dsn, string(statements))
			found := mapping.Recognise(catalogOf(t, dsn))
			if len(found) == 0 || found[0].Preset.Name != p.Name {
				t.Fatalf("recognised as %v", found)
			}
			tz := p.TZ
			if tz == "" {
				tz = "Europe/Berlin"
			}
			s := open(t, parse(t, dsn, tz, found[0].Text()))
			got := everything(t, s)
			if *update {
				if err := os.WriteFile(file+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it reads\n%s\nand not\n%s", got, want)
			}
			byKeys(t, s)
		})
	}
}

// all reads all pages, of two rows each.
func all[R any](t testing.TB, page func(context.Context, Key, int) ([]R, error), key func(*R) Key) (rows []R) {
	t.Helper()
	for after := Key(""); ; {
		p, err := page(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) == 0 {
			return rows
		}
		rows, after = append(rows, p...), key(&p[len(p)-1])
		if len(rows) > 1000 {
			t.Fatal("the pages do not end")
		}
	}
}

// everything is what a source has, as text.
func everything(t testing.TB, s Source) string {
	t.Helper()
	var b strings.Builder
	for _, r := range all(t, s.Rows, func(r *Row) Key { return r.Key }) {
		b.WriteString(line(&r))
	}
	for _, r := range all(t, s.Rooms, func(r *RoomRow) Key { return r.Key }) {
		fmt.Fprintf(&b, "room %s %q open=%t\n", r.ID, r.Title, r.Open)
	}
	for _, m := range all(t, s.Members, func(m *MemberRow) Key { return m.Key }) {
		fmt.Fprintf(&b, "member %s %s %s left=%t\n", m.Room, m.User, m.Role, m.Left)
	}
	for _, u := range all(t, s.Users, func(u *UserRow) Key { return u.Key }) {
		fmt.Fprintf(&b, "user %s %q\n", u.ID, u.Name)
	}
	for _, r := range all(t, s.Reads, func(r *ReadRow) Key { return r.Key }) {
		fmt.Fprintf(&b, "read %s %s upto %s%s\n", r.Room, r.User, r.Upto, stamp(r.Time))
	}
	first, last, count, err := s.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s to %s, %d rows\n", first, last, count)
	return b.String()
}

func line(r *Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s in %s by %q at %s: %q", r.Key, r.Kind, r.Room, r.User, stamp(r.Time), r.Text)
	if r.To != "" {
		fmt.Fprintf(&b, " to=%s", r.To)
	}
	if !r.Edited.IsZero() {
		fmt.Fprintf(&b, " edited=%s", stamp(r.Edited))
	}
	if r.Deleted {
		b.WriteString(" deleted")
	}
	if r.Reply != "" {
		fmt.Fprintf(&b, " reply=%s", r.Reply)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Data)) {
		fmt.Fprintf(&b, " %s=%q", name, r.Data[name])
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, " !%s(%s %s) refused=%t", p.Class, p.Field, p.Detail, p.Refused)
	}
	return b.String() + "\n"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}

// byKeys reads all messages again by their keys, with one that does not exist.
func byKeys(t testing.TB, s Source) {
	t.Helper()
	var keys []Key
	want := map[Key]string{}
	for _, r := range all(t, s.Rows, func(r *Row) Key { return r.Key }) {
		keys, want[r.Key] = append(keys, r.Key), line(&r)
	}
	got, err := s.ByKeys(t.Context(), append(keys, "999999"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d rows by key, want %d", len(got), len(want))
	}
	for _, r := range got {
		if line(&r) != want[r.Key] {
			t.Errorf("by key: %s, want %s", line(&r), want[r.Key])
		}
	}
}
