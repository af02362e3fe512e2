package adopt

import (
	"regexp"
	"strings"
	"testing"
)

// A comparison says what differs by ids and by what each side has, and never shows a text.
func TestCompareTells(t *testing.T) {
	s := newSite(t, databases["sqlite"](t))
	s.mapping(marksMapping)
	s.exec("CREATE TABLE seen (room_id INT NOT NULL, user_id INT NOT NULL, message_id INT, PRIMARY KEY (room_id, user_id))")
	for range 3 {
		if err := s.say(7, 1, "secret"); err != nil {
			t.Fatal(err)
		}
	}
	run := s.adopt()
	for _, room := range []int{7, 8} {
		if err := s.say(room, 1, "secret, and deleted on one side"); err != nil {
			t.Fatal(err)
		}
	}
	s.await("history", func() bool { return len(s.messages(7)) == 4 && len(s.messages(8)) == 1 })
	s.await("it follows", func() bool { return strings.HasPrefix(s.must("status"), "following, follow") })
	run.Kill()
	s.exec("UPDATE messages SET message = 'secret, edited' WHERE id = 2")
	s.exec("INSERT INTO seen VALUES (7, 1, 9), (7, 5, 2)")
	if err := s.say(7, 1, "secret, new"); err != nil {
		t.Fatal(err)
	}
	if err := s.post(7, 2, "secret, said", "k"); err != nil {
		t.Fatal(err)
	}
	s.exec("DELETE FROM messages WHERE id = 4")
	for _, path := range []string{"/v1/rooms/7/messages/1", "/v1/rooms/8"} { // a room with messages is what a node loses that is restored from a backup
		if _, err := s.call("DELETE", path, nil); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.verb("compare")
	if err == nil {
		t.Error("nothing differs")
	}
	for _, want := range []string{
		`5 rows, 0 of them left out; 5 messages; 2 read marks`,
		`row 1, room 7, user 1, message 1: the row and the message do not say the same \(old table: text [0-9a-f]{8}; Roomtide: it is deleted\)`,
		`row 2, room 7, user 1, message 2: the row and the message do not say the same \(old table: text [0-9a-f]{8}; Roomtide: text [0-9a-f]{8}\)`,
		`row 4, room 7, user 1, message 4: the row is gone, and the message is not deleted \(text [0-9a-f]{8}\)`,
		`row 5, room 8, user 1, message 1: the row is not in Roomtide \(text [0-9a-f]{8}\)`,
		`row 6, room 7, user 1: the row is not in Roomtide \(text [0-9a-f]{8}\)`,
		`room 7, user 2, message 5: the message is not in the old table \(text [0-9a-f]{8}\)`,
		`room 7, user 5: the read mark of the old table is ahead of that in Roomtide \(old table: message 2; Roomtide: message 0\)`,
		`7 differences; with --repair they are looked at once more`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("a text is shown:\n%s", out)
	}
	s.adopt()
	s.must("compare", "--repair")
	s.await("nothing differs", func() bool { _, err := s.verb("compare"); return err == nil })
	for _, room := range []int{7, 8} {
		if got := len(s.rows(room)); got == 0 || got != len(s.messages(room)) {
			t.Errorf("%d rows in room %d", got, room)
		}
	}
}
