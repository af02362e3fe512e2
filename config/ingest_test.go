package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIngest(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("p/w\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ redis, text, want, problem string }{
		{"", "", "", ""},
		{"", "[ingest.redis]\nurl = \"redis://q\"\nlist = \"a\"", "redis://q", ""},
		{"redis://u:secret@r", "[ingest.redis]\nstream = \"a\"", "redis://u:secret@r", ""},
		{"redis://r", "[ingest.redis]\nurl = \"redis://q\"\npassword_file = \"" + password + "\"\nlist = \"a\"", "redis://:p%2Fw@q", ""},
		{"", "[ingest.redis]\nlist = \"a\"", "", "ingest.redis: there is no Redis for it"},
		{"", "[ingest.redis]\nurl = \"redis://q\"", "", "neither a list nor a stream"},
		{"redis://r", "[ingest.redis]\nlist = \"a\"\npassword_file = \"x\"", "", "ingest.redis.password_file: it has no effect without ingest.redis.url"},
		{"redis://r", "[ingest.redis]\nlist = \"a\"\nstream = \"a\"", "", "it is the list as well"},
		{"redis://r", "[ingest.redis]\nlist = \"" + strings.Repeat("a", 65) + "\"", "", "ingest.redis.list: it is longer than 64 bytes"},
		{"", "[ingest.nats]\nsubjects = [\"a\"]", "", "there is no NATS"},
		{"", "[ingest.nats]\nsubjects = [\"a b\"]", "", `"a b" is no subject`},
		{"", "[ingest.nats]\nsubjects = [\"a\"]\nstream = \"a.b\"", "", `"a.b" is no name of a stream`},
	} {
		cfg := Default()
		cfg.Redis = c.redis
		if err := decode("f", []byte(c.text), cfg); err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		got, _ := cfg.IngestRedisURL()
		text := cfg.Check().Error()
		if c.problem == "" && (got != c.want || text != "") {
			t.Errorf("%s: %q, want %q; %s", c.text, got, c.want, text)
		}
		if c.problem != "" && !strings.Contains(text, c.problem) {
			t.Errorf("%s: %q, want %s", c.text, text, c.problem)
		}
	}
}
