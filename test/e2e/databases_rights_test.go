package e2e

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// The rights that docs/databases.md says to give are enough.
func TestDocumentedRights(t *testing.T) {
	text, err := os.ReadFile("../../docs/databases.md")
	if err != nil {
		t.Fatal(err)
	}
	grant := regexp.MustCompile(`(?m)^ *GRANT (.+) ON chat1\.\* TO`).FindStringSubmatch(string(text))
	if grant == nil {
		t.Fatal("docs/databases.md gives no rights in chat1")
	}
	for _, e := range testdb.Engines {
		t.Run(string(e), func(t *testing.T) {
			dsn := testdb.Database(t, e)
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			database := strings.Trim(u.Path, "/")
			name := "rights_" + database
			if e == testdb.Maria {
				admin(t, e, database, "CREATE USER "+name+" IDENTIFIED BY 'pw1234'", "GRANT "+grant[1]+" ON "+database+".* TO "+name)
			} else {
				admin(t, e, database, "CREATE USER "+name+" PASSWORD 'pw1234'", "GRANT CONNECT ON DATABASE "+database+" TO "+name,
					"GRANT CREATE, USAGE ON SCHEMA public TO "+name)
				t.Cleanup(func() { admin(t, e, database, "DROP OWNED BY "+name, "DROP USER "+name) })
			}
			u.User = url.UserPassword(name, "pw1234")
			n := program.StartWith(t, t.TempDir(), testprocess.FreeAddr(t), []string{"--shard", u.String()})
			n.Ready()
			ann := user(t, n, "ann")
			join(t, ann, "room1")
			if _, err := ann.Send(testContext(t), "room1", chat.Draft{Text: "hello"}); err != nil {
				t.Error(err)
			}
			if _, err := ann.React(testContext(t), "room1", 1, "👍", true); err != nil {
				t.Error(err)
			}
			n.Kill()
		})
	}
}
