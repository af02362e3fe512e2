package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRedisURL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("p/w?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, file, want, problem string }{
		{"", "", "", ""},
		{"redis://127.0.0.1", "", "redis://127.0.0.1", ""},
		{"rediss://tide:secret@cache.example:6380/2", "", "rediss://tide:secret@cache.example:6380/2", ""},
		{"redis://tide@127.0.0.1:6379/0", file, "redis://tide:p%2Fw%3F@127.0.0.1:6379/0", ""},
		{"redis://:secret@127.0.0.1", file, "", "redis_password_file has one as well"},
		{"redis://127.0.0.1", file + "-not", "", "cannot be read"},
		{"", file, "", "no effect without redis"},
		{"127.0.0.1:6379", "", "", "not the URL of a Redis server"},
		{"http://u:secret@127.0.0.1", "", "", "not the URL of a Redis server"},
		{"redis://u:se%zzcret@127.0.0.1", "", "", "not the URL of a Redis server"},
		{"redis://u:secret@127.0.0.1/x", "", "", `"x" is not the number of a database`},
		{"redis://u:secret@127.0.0.1?db=1", "", "", "something behind the database"},
	} {
		cfg := Default()
		cfg.Redis, cfg.RedisPasswordFile = c.url, c.file
		got, err := cfg.RedisURL()
		switch {
		case c.problem == "" && (err != nil || got != c.want):
			t.Errorf("%q: %q, %v", c.url, got, err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: %v", c.url, err)
		case c.problem != "" && len(cfg.Check()) == 0:
			t.Errorf("%q: Check finds nothing", c.url)
		}
	}
	cfg := Default()
	cfg.Redis = "redis://tide:secret@127.0.0.1/0"
	for _, s := range cfg.Settings() {
		if s.Key == "redis" && s.Text() != `"redis://tide:xxxxx@127.0.0.1/0"` {
			t.Errorf("shown as %s", s.Text())
		}
	}
}
