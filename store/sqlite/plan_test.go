package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// The seed questions are one range of the clustered table each: the latest messages of a
// room need no sorting and read no other rows, and a new message reads none.
func TestPlans(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "shard.db"))
	for _, c := range []struct{ name, text, want string }{
		{"latest 10", s.list.queries()[0].text, "SEARCH messages USING PRIMARY KEY (slot=? AND room_id=? AND seq<?)"},
		{"next 10", s.list.queries()[1].text, "SEARCH messages USING PRIMARY KEY (slot=? AND room_id=? AND seq>?)"},
		{"their reactions", reactionsOf, "SEARCH c USING PRIMARY KEY (slot=? AND room_id=? AND seq>? AND seq<?)"},
		{"insert a message", insertMessage, ""},
		{"the message of a key", findKey, "SEARCH messages USING COVERING INDEX messages_key (slot=? AND room_id=? AND user_id=? AND key=?)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := s.db.r.Query("EXPLAIN QUERY PLAN "+c.text, make([]any, strings.Count(c.text, "?"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, detail)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(plan, "\n")
			t.Log(text)
			if !strings.Contains(text, c.want) || strings.Contains(text, "SCAN messages") || strings.Contains(text, "SCAN reactions") ||
				strings.Contains(text, "TEMP B-TREE") {
				t.Errorf("the plan is\n%s\nwant %s", text, c.want)
			}
		})
	}
}
