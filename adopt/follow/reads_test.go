package follow_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/internal/testdb"
)

// Rows of read marks are named among the messages, and read by what names them: by their
// key, or where that is of several columns, by the user.
func TestReadsAreNamed(t *testing.T) {
	for _, e := range testdb.Engines {
		var settings []string
		if e == testdb.Maria {
			settings = withBinlog
		}
		server := testdb.Start(t, e, settings...)
		for _, kind := range []follow.Kind{follow.Binlog, follow.Triggers} {
			for name, key := range map[string]string{"by key": "id INT PRIMARY KEY, room INT, who INT, upto INT", "by user": "room INT, who INT, upto INT, id INT, PRIMARY KEY (room, who)"} {
				if kind == follow.Binlog && e != testdb.Maria {
					continue
				}
				t.Run(string(e)+" "+string(kind)+" "+name, func(t *testing.T) {
					s := subject(t, server, kind)
					exec(t, s.DB, "CREATE TABLE seen ("+key+")", "INSERT INTO seen (id, room, who, upto) VALUES (1, 7, 10, 1), (2, 8, 10, 1), (3, 7, 11, 1)")
					readsAreNamed(t, s.Config)
				})
			}
		}
	}
}

func readsAreNamed(t *testing.T, c follow.Config) {
	m := &mapping.Mapping{Source: mapping.Source{Name: "shop", DSN: c.Source.DSN, TZ: "UTC"}}
	m.Message = mapping.Message{From: mapping.From{From: "messages"}, Room: "id", User: "id", Text: "body", Unit: "none"}
	m.Reads = []mapping.Read{{From: mapping.From{From: "seen r", Where: "r.upto < 9"}, Room: "r.room", User: "r.who", Upto: "r.upto", By: "key", Unit: "sql"}}
	src, err := source.Open(t.Context(), m, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c.Tables, c.Watch = follow.TablesOf(src)
	if c.Kind == follow.Triggers {
		if err := follow.Install(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	f := openAt(t, c, beginAt(t, c))
	db, _ := open(t, c.Source.DSN)
	exec(t, db, "UPDATE seen SET upto = 5 WHERE room = 7 AND who = 10", "UPDATE seen SET upto = 9 WHERE room = 7 AND who = 11", many(1))
	var messages, reads []source.Key
	for len(messages) == 0 || len(reads) < 2 {
		some, marks := source.SplitReads(next(t, f))
		for _, k := range marks {
			if !slices.Contains(reads, k) {
				reads = append(reads, k)
			}
		}
		messages = append(messages, some...)
	}
	rows, err := src.ReadsOf(t.Context(), reads)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.Room+" "+r.User+" "+string(r.Upto))
	}
	slices.Sort(got)
	if text := strings.Join(got, ", "); text != "7 10 5" && text != "7 10 5, 8 10 1" { // of a user all rooms are read
		t.Errorf("%q are read as %q", reads, text)
	}
}
