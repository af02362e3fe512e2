package config

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// member returns the sound settings of a node of a cluster, with changes.
func member(t *testing.T, set func(*Config)) *Config {
	t.Helper()
	c := Default()
	c.DataDir, c.Node = t.TempDir(), "node-1"
	c.NATS.URL = []string{"nats://a:4222", "tls://b"}
	c.Shards = []Shard{{DSN: "mysql://chat@db/chat"}, {DSN: "postgres://chat@db/rooms"}}
	if set != nil {
		set(c)
	}
	return c
}

func TestCheckNATS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := func(u string) func(*Config) { return func(c *Config) { c.NATS.URL[1] = u } }
	for _, tt := range []struct {
		name string
		set  func(*Config)
		want string // "" for sound, else a regexp of the one problem
	}{
		{"sound", nil, ""},
		{"all that can be set", func(c *Config) {
			c.NATS.User, c.NATS.PasswordFile, c.NATS.TLSCA, c.NATS.TLSCert, c.NATS.TLSKey = "u", file, file, file, file
		}, ""},
		{"credentials", func(c *Config) { c.NATS.Credentials = file }, ""},
		{"no scheme", url("db:4222"), `^nats\.url: "db:4222" is not the address`},
		{"another scheme", url("http://db"), `^nats\.url: .*neither nats:// nor tls://`},
		{"no host", url("nats://:4222"), `is not the address`},
		{"a password in it", url("nats://u:hunter2@db"), `has a user in it; .*settings of their own`},
		{"a path", url("nats://db/x"), `more in it than a host and a port`},
		{"user without password", func(c *Config) { c.NATS.User = "u" }, `^nats\.user: only one`},
		{"password without user", func(c *Config) { c.NATS.Password = "hunter2" }, `^nats\.user: only one`},
		{"two passwords", func(c *Config) { c.NATS.User, c.NATS.Password, c.NATS.PasswordFile = "u", "hunter2", file }, `^nats\.password_file: there is a password`},
		{"credentials and a user", func(c *Config) { c.NATS.Credentials, c.NATS.User, c.NATS.Password = file, "u", "hunter2" }, `^nats\.credentials: `},
		{"a password file that is not there", func(c *Config) { c.NATS.User, c.NATS.PasswordFile = "u", file+"x" }, `^nats\.password_file: .*x cannot be read`},
		{"a CA that is not there", func(c *Config) { c.NATS.TLSCA = file + "x" }, `^nats\.tls_ca: .*x cannot be read`},
		{"half a certificate", func(c *Config) { c.NATS.TLSCert = file }, `^nats\.tls_cert: only one`},
		{"the rest without an address", func(c *Config) { c.NATS.URL, c.NATS.User = nil, "u" }, `^nats: .*set nats\.url`},
		{"no name", func(c *Config) { c.Node = Default().Node }, `^node: .*set node to a name that no other node has`},
		{"the default name, said", func(c *Config) { c.Node = Default().Node; c.origin["node"] = "--node" }, ""},
		{"no shards", func(c *Config) { c.Shards = nil }, `^shards: .*docs/databases\.md`},
		{"a file among the shards", func(c *Config) { c.Shards = append(c.Shards, Shard{DSN: "sqlite:x.db"}) }, `^shards: x\.db is a SQLite file`},
		{"a file as control database", func(c *Config) { c.Control = "sqlite:control.db" }, `^control: control\.db is a SQLite file`},
		{"a control database that is there", func(c *Config) {
			if err := os.WriteFile(filepath.Join(c.DataDir, "control.db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, `^control: the control database is a SQLite file of this node`},
		{"the same without a cluster", func(c *Config) { c.NATS.URL, c.Control = nil, "sqlite:control.db" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantProblem(t, member(t, tt.set).Check(), tt.want)
		})
	}
}

// wantProblem is that there is one problem, which a pattern matches, or none if it is
// empty; and that the secret of the tests is not shown.
func wantProblem(t *testing.T, ps Problems, pattern string) {
	t.Helper()
	switch {
	case pattern == "" && len(ps) > 0:
		t.Errorf("problems: %v", ps)
	case pattern != "" && (len(ps) != 1 || !regexp.MustCompile(pattern).MatchString(ps[0].String())):
		t.Errorf("problems: %v", ps)
	case strings.Contains(ps.Error(), "hunter2"):
		t.Errorf("a secret is shown: %v", ps)
	}
}

func TestNATSSources(t *testing.T) {
	c, err := load(t, "[nats]\nurl = ['nats://a', 'nats://u:hunter2@b']\nuser = 'u'\n", []string{"ROOMTIDE_NATS_PASSWORD=hunter2"}, nil)
	if err != nil || !c.Cluster() || len(c.NATS.URL) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	if secret, err := c.NATS.Secret(); secret != "hunter2" || err != nil {
		t.Errorf("password %q, %v", secret, err)
	}
	var text bytes.Buffer
	if err := c.Print(&text); err != nil || strings.Contains(text.String(), "hunter2") || !strings.Contains(text.String(), `url = ["nats://a", "nats://u:xxxxx@b"]`) {
		t.Errorf("printed as %s, %v", text.String(), err)
	}
	flags := func(c *Config) { c.NATS.URL = []string{"nats://c"} }
	c, err = load(t, "[nats]\nurl = ['nats://a']\n", []string{"ROOMTIDE_NATS_URL=nats://b,tls://b"}, nil)
	if err != nil || strings.Join(c.NATS.URL, " ") != "nats://b tls://b" {
		t.Errorf("from the environment: %v, %v", c.NATS.URL, err)
	}
	c, err = load(t, "[nats]\nurl = ['nats://a']\n", []string{"ROOMTIDE_NATS_URL=nats://b"}, flags, "nats-url")
	if err != nil || strings.Join(c.NATS.URL, " ") != "nats://c" {
		t.Errorf("from the flag: %v, %v", c.NATS.URL, err)
	}
	if Default().Cluster() {
		t.Error("a node without settings is in a cluster")
	}
}
