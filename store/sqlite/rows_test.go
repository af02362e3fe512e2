package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSlotRowsAreRanges looks at the plans of the statements that move rows: each is
// a search by all that is known of the key, and sorts nothing.
func TestSlotRowsAreRanges(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "shard.db"))
	for i := range slotTables {
		table := &slotTables[i]
		if table.name == "" {
			continue
		}
		equal := []string{"slot=?"}
		for _, column := range table.key {
			equal = append(equal, column+"=?")
		}
		after := []string{"USING PRIMARY KEY (slot=? AND " + table.key[0] + ">?)"}
		if len(table.key) > 1 {
			after = []string{"USING PRIMARY KEY (slot=? AND (" + strings.Join(table.key, ",") + ")>("}
		}
		for text, want := range map[string][]string{table.page(): after, table.find(): equal, table.drop(): equal} {
			rows, err := s.db.r.Query("EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "?"))...)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := collect(rows, 0, func(line *string) error {
				var id, parent, unused int
				return rows.Scan(&id, &parent, &unused, line)
			})
			if err != nil || len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH "+table.name+" USING ") {
				t.Fatalf("%s\n%q, %v", text, plan, err)
			}
			for _, part := range want {
				if !strings.Contains(plan[0], part) {
					t.Errorf("%s\n%q does not have %s", text, plan[0], part)
				}
			}
		}
	}
}
