package follow

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is remembered as a gap is what was jumped over and not seen since.
func TestGapsAreWhatWasNotSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g gaps
		missing := map[int64]bool{}
		high, clock := int64(0), time.Unix(0, 0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			clock = clock.Add(time.Second)
			if jump := rapid.Int64Range(0, 5).Draw(t, "jump"); rapid.Bool().Draw(t, "new") {
				g.add(high+1, high+jump, clock)
				for k := high + 1; k <= high+jump; k++ {
					missing[k] = true
				}
				high += jump + 1
				continue
			}
			keys := rapid.SliceOfDistinct(rapid.Int64Range(1, high+1), rapid.ID).Draw(t, "keys")
			slices.Sort(keys)
			for _, k := range g.seen(keys) {
				if !missing[k] {
					t.Fatalf("%d was in no gap", k)
				}
				delete(missing, k)
			}
		}
		floor, held := high, map[int64]bool{}
		for _, a := range g.list {
			for k := a.from; k <= a.to; k++ {
				held[k] = true
				floor = min(floor, k-1)
			}
		}
		if len(held) != len(missing) || g.floor(high) != floor {
			t.Fatalf("gaps %v, missing %v, floor %d, want %d", g.list, missing, g.floor(high), floor)
		}
		for k := range missing {
			if !held[k] {
				t.Fatalf("%d is missing and in no gap", k)
			}
		}
	})
}

// A gap is forgotten when all transactions have ended that were open when it was known.
func TestGapsAreForgotten(t *testing.T) {
	const least, most = 10 * time.Second, time.Minute
	var g gaps
	start := time.Unix(0, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	owner, later := transactions{"7 a": {}}, transactions{"7 b": {}}
	g.add(5, 6, start)
	settle := func(open transactions, known bool, s int) {
		g.settle(open, known, at(s), least, most)
		if known {
			g.own(open, at(s), 2*time.Second)
		}
	}
	settle(owner, true, 1) // the list may be older than the gap
	if g.list[0].owners != nil {
		t.Error("owners are known too soon")
	}
	settle(owner, true, 3)
	settle(owner, true, 30)
	settle(later, true, 9)
	if len(g.list) != 1 {
		t.Fatal("a gap is forgotten while its owner may live, or too soon")
	}
	settle(later, true, 11)
	if len(g.list) != 0 {
		t.Error("a gap without an owner is remembered")
	}
	g.add(8, 8, start)
	settle(nil, false, 59)
	if len(g.list) != 1 {
		t.Error("without a list a gap is forgotten too soon")
	}
	settle(nil, false, 60)
	if len(g.list) != 0 {
		t.Error("without a list a gap is remembered for ever")
	}
}

func TestJudge(t *testing.T) {
	followed := func(name string) bool { return name == "messages" || name == "shop.messages" }
	for query, want := range map[string]verdict{
		"BEGIN": begins, "COMMIT": ends, "ROLLBACK": ends, "ROLLBACK TO `a`": other,
		"INSERT INTO messages VALUES (1)":                          changesRows,
		"/* from the app */ update `shop`.`messages` set a = 1":    changesRows,
		"insert into other select * from `messages`":               changesRows, // once too often
		"INSERT INTO other VALUES ('messages')":                    other,
		"DELETE FROM other -- messages":                            other,
		"/*!40000 ALTER TABLE `messages` DISABLE KEYS */":          changesStructure,
		"TRUNCATE TABLE messages":                                  emptiesTable,
		"ALTER TABLE messages ADD COLUMN x INT":                    changesStructure,
		"RENAME TABLE messages TO _old, _new TO messages":          changesStructure,
		"DROP TABLE IF EXISTS `messages`":                          changesStructure,
		"CREATE OR REPLACE TABLE messages (id INT)":                changesStructure,
		"CREATE TABLE copy LIKE messages":                          other,
		"CREATE TRIGGER a AFTER INSERT ON messages FOR EACH ROW x": other,
		"CREATE INDEX i ON messages (a)":                           other,
		"DROP INDEX i ON messages":                                 other,
		"XA START 'a'":                                             begins,
		"XA COMMIT 'a'":                                            endsPrepared,
		"GRANT SELECT ON messages TO a":                            other,
		"":                                                         other,
		"'unfinished":                                              other,
	} {
		if got := judge(query, followed); got != want {
			t.Errorf("%q is judged %d, want %d", query, got, want)
		}
	}
}

// Statements of a log are of any bytes.
func FuzzJudge(f *testing.F) {
	f.Add("INSERT INTO `messages` VALUES ('it''s \\' /* x', \"y\") -- z\n#a\n/*!50000 b */")
	f.Fuzz(func(t *testing.T, query string) {
		judge(query, func(name string) bool { return name == "messages" })
	})
}
