package adopt

import (
	"encoding/json"
	"fmt"
	"testing"
)

const marksMapping = `
[[read]]
from = "seen"
room = "room_id"
user = "user_id"
upto = "message_id"
`

// mark is where a user's mark stands in Roomtide.
func (s *site) mark(room, user int) (seq int64) {
	raw, err := s.call("POST", "/v1/import", fmt.Appendf(nil, `{"reads":[{"room":%d,"user":%d,"seq":0}]}`, room, user))
	var told struct{ Reads []int64 }
	if err == nil && json.Unmarshal(raw, &told) == nil && len(told.Reads) == 1 {
		seq = told.Reads[0]
	}
	return seq
}

// seen is the mark of a user in the old table, 0 if there is none.
func (s *site) seen(room, user int) (key int64) {
	row := s.db.QueryRowContext(s.t.Context(), s.engine.Bind("SELECT COALESCE(MAX(message_id), 0) FROM seen WHERE room_id = ? AND user_id = ?"), room, user)
	if err := row.Scan(&key); err != nil {
		s.t.Error(err)
	}
	return key
}

// Read marks of a table of their own go with the history, and then from each side to the
// other, forward only; a comparison knows where they stand.
func TestReadMarks(t *testing.T) { onEach(t, readMarks) }

func readMarks(t *testing.T, s *site) {
	s.mapping(marksMapping)
	s.exec("CREATE TABLE seen (room_id INT NOT NULL, user_id INT NOT NULL, message_id INT, PRIMARY KEY (room_id, user_id))")
	for i := range 5 {
		if err := s.say(7, i%2+1, fmt.Sprint("old ", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.exec("INSERT INTO seen VALUES (7, 8, 2), (7, 9, 4)")
	s.adopt()
	s.await("marks of the history", func() bool { return s.mark(7, 8) == 2 && s.mark(7, 9) == 4 })

	s.exec("UPDATE seen SET message_id = 3 WHERE user_id = 8")
	s.exec("INSERT INTO seen VALUES (7, 10, 1)")
	s.await("marks of the old chat", func() bool { return s.mark(7, 8) == 3 && s.mark(7, 10) == 1 })

	if _, err := s.call("PUT", "/v1/rooms/7/members/9", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.call("PUT", "/v1/rooms/7/read", []byte(`{"seq":5}`), "Roomtide-User", "9"); err != nil {
		t.Fatal(err)
	}
	s.await("a mark of Roomtide", func() bool { return s.seen(7, 9) == 5 })
	s.exec("DELETE FROM messages WHERE id = 5")
	s.exec("UPDATE seen SET message_id = 1 WHERE user_id = 9")
	for range 2 {
		s.must("compare")
	}
	if got := s.mark(7, 9); got != 5 {
		t.Errorf("a mark went back to %d", got)
	}
	if got := s.seen(7, 8); got != 3 {
		t.Errorf("a mark that did not move in Roomtide is at %d in the old table", got)
	}
}
