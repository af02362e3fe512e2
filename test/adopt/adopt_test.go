package adopt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/internal/testdb"
)

func same(a, b []string) bool { return slices.Equal(a, b) }

// A chat moves in while it goes on: its history is there in order, what is said on either
// side comes to the other one, edits and deletions too, and it goes over and back.
func TestMove(t *testing.T) { onEach(t, moves) }

func moves(t *testing.T, s *site) {
	var history []string
	for i := range 300 {
		history = append(history, fmt.Sprint("old ", i))
		s.exec("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (7, ?, ?, ?)", i%5+1, history[i], fmt.Sprintf("2020-01-01 10:%02d:%02d", i/60, i%60))
	}
	// A row that was written late has the time of its place.
	s.exec("INSERT INTO messages (room_id, user_id, message, created_at) VALUES (7, 1, 'first', '2019-01-01 00:00:00')")
	made := []string{"roomtide_map", "roomtide_feed"}
	if s.engine != source.SQLite {
		s.must("triggers", "install")
		made = append(made, "roomtide_changes")
	}
	run := s.adopt()
	want := append([]string{"first"}, history...)
	s.await("history", func() bool { return same(s.messages(7), want) })

	if err := s.say(7, 1, "said the old way"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "said the old way")
	s.await("a row", func() bool { return same(s.messages(7), want) })
	if err := s.post(7, 2, "said the new way", "k1"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "said the new way")
	s.await("a message", func() bool { return slices.Contains(s.rows(7), "said the new way") })

	// Edits and deletions, in both directions.
	s.exec("UPDATE messages SET message = 'edited the old way' WHERE message = 'said the old way'")
	s.exec("DELETE FROM messages WHERE message = 'old 299'")
	if _, err := s.call("PATCH", "/v1/rooms/7/messages/303", []byte(`{"message":"edited the new way"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.call("DELETE", "/v1/rooms/7/messages/3", nil); err != nil {
		t.Fatal(err)
	}
	want = append([]string{"first", "old 0"}, history[2:299]...)
	want = append(want, "edited the old way", "edited the new way")
	s.await("edits and deletions in Roomtide", func() bool { return same(s.messages(7), want) })
	rows := append(slices.Clone(want[1:len(want)-2]), "first", "edited the old way", "edited the new way")
	s.await("edits and deletions in the old table", func() bool { return same(s.rows(7), rows) })

	for range 2 {
		if out := s.must("compare"); !strings.Contains(out, "messages") {
			t.Errorf("%s", out)
		}
	}
	s.must("switch")
	var status struct{ Adoption struct{ State string } }
	if err := json.Unmarshal([]byte(s.must("status", "--json")), &status); err != nil || status.Adoption.State != "switched" {
		t.Errorf("%+v, %v", status, err)
	}
	if err := s.say(7, 1, "late"); err != nil {
		t.Fatal(err)
	}
	s.await("a late row", func() bool { return slices.Contains(s.messages(7), "late") })
	s.await("late rows are counted", func() bool { return strings.Contains(s.must("status"), "1 came the old way") })
	s.must("back")
	if err := s.post(7, 2, "still here", "k2"); err != nil {
		t.Fatal(err)
	}
	s.await("a message", func() bool { return slices.Contains(s.rows(7), "still here") })
	s.must("switch")
	if out, err := s.verb("finish"); err == nil {
		t.Errorf("finished without a question: %s", out)
	}
	finished := s.must("finish", "--yes")
	<-run.Ended()
	if err := s.say(7, 1, "the old chat is left alone"); err != nil {
		t.Error(err)
	}
	for _, table := range made {
		if !strings.Contains(finished, table) {
			t.Errorf("%s is not removed: %s", table, finished)
		}
		if _, err := s.db.ExecContext(t.Context(), "DELETE FROM "+table); err == nil {
			t.Errorf("%s is there", table)
		}
	}
	if raw, err := s.call("GET", "/v1/feeds", nil); err != nil || strings.Contains(string(raw), "shop") {
		t.Errorf("feeds: %s, %v", raw, err)
	}
	if again := s.must("finish", "--yes"); strings.Contains(again, "removed") {
		t.Errorf("something was left: %s", again)
	}
	if t.Failed() {
		t.Logf("adopt run:\n%s\nnode:\n%s", run.Output(), s.node.Stderr())
	}
}

// Rows that were written while the move stood still come in their order, however many they are.
func TestOrderBehindAStandstill(t *testing.T) {
	s := newSite(t, databases[source.SQLite](t))
	var want []string
	say := func(n int) {
		t.Helper()
		tx, err := s.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			text := fmt.Sprint("row ", len(want))
			want = append(want, text)
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO messages (room_id, user_id, message, created_at) VALUES (7, 1, ?, ?)", text, time.Now().UTC().Format(time.DateTime)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	say(1)
	run := s.adopt()
	s.await("history", func() bool { return len(s.messages(7)) == 1 })
	run.Kill()
	say(1300)
	s.adopt()
	s.await("all rows", func() bool { return len(s.messages(7)) == len(want) })
	if got := s.messages(7); !same(got, want) {
		t.Errorf("rows come as %q", got)
	}
}

// A table without transactions is read, and nothing is written into it: the reason is said.
func TestTableWithoutTransactions(t *testing.T) {
	s := newSite(t, testdb.MariaDB(t))
	s.exec("ALTER TABLE messages ENGINE=MyISAM")
	if err := s.say(7, 1, "the old way"); err != nil {
		t.Fatal(err)
	}
	s.adopt()
	s.await("a row", func() bool { return same(s.messages(7), []string{"the old way"}) })
	s.await("the reason", func() bool { return strings.Contains(s.must("status"), "MyISAM, which has no transactions") })
	if err := s.post(7, 2, "the new way", "k"); err != nil {
		t.Fatal(err)
	}
	if err := s.say(7, 1, "once more"); err != nil {
		t.Fatal(err)
	}
	s.await("a row behind the message", func() bool { return same(s.messages(7), []string{"the old way", "the new way", "once more"}) })
	if got := s.rows(7); !same(got, []string{"the old way", "once more"}) {
		t.Errorf("the old table has %q", got)
	}
}
