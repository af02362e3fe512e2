package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sampleChat makes a database with the tables of a chat that no preset knows.
func sampleChat(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "shop.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT)",
		"CREATE TABLE chatrooms (id INTEGER PRIMARY KEY, name TEXT)",
		"CREATE TABLE chat_log (id INTEGER PRIMARY KEY, chatroom_id INT, sender_id INT, msg TEXT, sent_at INT)",
		"INSERT INTO users VALUES (1, 'Ann'), (2, '小明')",
		"INSERT INTO chatrooms VALUES (1, 'Lobby')",
		"INSERT INTO chat_log VALUES (1, 1, 1, 'hello', 1700000000), (2, 1, 2, '你好 👍', 1700000060), (3, 1, 1, '', 1700000061), (4, 1, 1, 'see' || char(27) || '[31m you', 1700000062)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// runAdopt runs a verb of adopt in a directory.
func runAdopt(t *testing.T, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = run(&app{ctx: context.Background(), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}, append([]string{"adopt"}, args...))
	return code, stdout.String(), stderr.String()
}

func TestAdoptInitAndCheck(t *testing.T) {
	path := sampleChat(t)
	file := filepath.Join(t.TempDir(), "adopt.toml")
	code, out, errs := runAdopt(t, "init", "--from", "sqlite:"+path, "--file", file)
	if code != 0 {
		t.Fatal(code, errs)
	}
	for _, want := range []string{"in the table chat_log of shop", "Messages 4, from 2023-11-14 to 2023-11-14 22:14 UTC", "1 room with a title, 2 users with names",
		"Nov 14 22:13 1                  Ann              hello", "小明             你好 👍", "(1 of 4 would be left out)", "left out  empty of text in 3",
		"roomtide adopt check --file " + file, "roomtide adopt run --file " + file} {
		if !strings.Contains(out, want) {
			t.Errorf("the page lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("a message reaches the terminal with its control characters")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if code, _, errs = runAdopt(t, "init", "--from", "sqlite:"+path, "--file", file); code != exitUsage || !strings.Contains(errs, "--force replaces it") {
		t.Error(code, errs)
	}
	if code, out, errs = runAdopt(t, "init", "--from", "sqlite:"+path, "--file", file, "--force", "--json"); code != 0 {
		t.Fatal(code, errs)
	}
	var answer struct {
		Found  struct{ Table string }
		Report struct {
			Messages, Refused int64
			Newest            []struct{ Room, Name, Text string }
			Problems          []struct{ Class, Advice string }
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if r := answer.Report; answer.Found.Table != "chat_log" || r.Messages != 4 || r.Refused != 1 || len(r.Newest) != 4 || r.Newest[0].Name != "Ann" ||
		len(r.Problems) != 1 || r.Problems[0].Class != "empty" || r.Problems[0].Advice == "" {
		t.Errorf("%s", out)
	}
	checks(t, file)
}

// checks runs check on mappings that fit and that do not.
func checks(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		old, new, out, errs string
		code                int
	}{
		{"", "", "1 of 4 would be left out", "", exitFailed},
		{`text = "msg"`, "text = \"msg\"\nwhere = \"msg <> ''\"", "Every message that was looked at fits.", "", 0},
		{`"sender_id"`, `"sendr_id"`, "", "message.user: there is no column sendr_id in chat_log; do you mean sender_id?", exitUsage},
		{"[[user]]", "[[usr]]", "", "there is no setting usr", exitUsage},
		{`user = "sender_id"`, "", "", "message.user is missing: the author", exitUsage},
	} {
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := runAdopt(t, "check", "--file", file)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
			t.Errorf("%s: %d\n%s\n%s", c.new, code, out, errs)
		}
	}
	if code, _, errs := runAdopt(t, "check", "--file", file+".none"); code != exitUsage || !strings.Contains(errs, `"roomtide adopt init" makes one`) {
		t.Error(code, errs)
	}
	for _, from := range []string{"mysql://u:secret@127.0.0.1:1/d", "words", "sqlite:/nowhere.db"} {
		if code, _, errs := runAdopt(t, "init", "--from", from, "--file", file+".new"); code == 0 || errs == "" || strings.Contains(errs, "secret") {
			t.Errorf("%s: %d %s", from, code, errs)
		}
	}
	if _, err := os.Stat(file + ".new"); err == nil {
		t.Error("a file was written though the source could not be read")
	}
}
