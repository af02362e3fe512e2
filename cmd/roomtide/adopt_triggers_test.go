package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/internal/testdb"
)

// Triggers are printed, made and removed by the mapping alone, without a node.
func TestAdoptTriggers(t *testing.T) {
	dsn := testdb.Start(t, testdb.Maria).Database()
	db, _, err := source.Dial(source.Address{DSN: dsn}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE messages (id INT AUTO_INCREMENT PRIMARY KEY, room_id INT, user_id INT, message TEXT, created_at DATETIME)")
	file := filepath.Join(t.TempDir(), "adopt.toml")
	err = os.WriteFile(file, fmt.Appendf(nil, `
[source]
name = "shop"
dsn = %q
tz = "UTC"

[message]
from = "messages"
room = "room_id"
user = "user_id"
text = "message"
time = "created_at"

[roomtide]
url = "http://127.0.0.1:1"
`, dsn), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	verb := func(name string) string { return must(t, "adopt", "triggers", name, "--file", file) }
	if out := verb("print"); strings.Count(out, "CREATE TRIGGER") != 3 || !strings.HasSuffix(out, ";") {
		t.Errorf("print: %s", out)
	}
	verb("install")
	exec("INSERT INTO messages (message) VALUES ('hello')")
	var key string
	if err := db.QueryRowContext(t.Context(), "SELECT k FROM roomtide_changes").Scan(&key); err != nil || key != "1" {
		t.Errorf("the changed key is %q, %v", key, err)
	}
	verb("remove")
	exec("INSERT INTO messages (message) VALUES ('hello again')")
	if err := db.QueryRowContext(t.Context(), "SELECT k FROM roomtide_changes").Scan(&key); err == nil {
		t.Error("the table of changes is still there")
	}
}
