package config

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestDatabases(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("p/w#1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		shard Shard
		want  Database
	}{
		{Shard{DSN: "mysql://chat:secret@Db.example/chat"}, Database{Name: "db.example/chat", Engine: MySQL, DSN: "mysql://chat:secret@Db.example/chat", Prefix: "roomtide_"}},
		{Shard{DSN: "mariadb://chat@127.0.0.1:3306/chat"}, Database{Name: "127.0.0.1/chat", Engine: MySQL, DSN: "mysql://chat@127.0.0.1:3306/chat", Prefix: "roomtide_"}},
		{Shard{DSN: "mysql://chat@127.0.0.1:3307/chat?prefix=b_&tls=true"}, Database{Name: "127.0.0.1:3307/chat/b_", Engine: MySQL, DSN: "mysql://chat@127.0.0.1:3307/chat?tls=true", Prefix: "b_"}},
		{Shard{DSN: "mysql://chat@/chat?socket=/run/mysqld/mysqld.sock", Name: "a"}, Database{Name: "a", Engine: MySQL, DSN: "mysql://chat@/chat?socket=/run/mysqld/mysqld.sock", Prefix: "roomtide_"}},
		{Shard{DSN: "postgresql://chat@[::1]/chat", PasswordFile: file, Prefix: "x_"}, Database{Name: "[::1]/chat/x_", Engine: PostgreSQL, DSN: "postgres://chat:p%2Fw%231@[::1]/chat", Prefix: "x_"}},
		{Shard{DSN: "postgres://chat@db/chat", PasswordEnv: "DB_PASSWORD", MaxConnections: 3, ConnectTimeout: Duration(time.Second)}, Database{Name: "db/chat", Engine: PostgreSQL, DSN: "postgres://chat:from%20env@db/chat", Prefix: "roomtide_", MaxConnections: 3, ConnectTimeout: time.Second}},
		{Shard{DSN: "sqlite:new.db"}, Database{Name: "new.db", Engine: SQLite, File: "new.db"}},
	} {
		c := Default()
		c.Shards, c.passwords = []Shard{tt.shard}, map[string]string{"DB_PASSWORD": "from env"}
		got, err := c.Databases()
		if err != nil {
			t.Errorf("%+v: %v", tt.shard, err)
			continue
		}
		got[0].server, got[0].place = "", ""
		if got[0] != tt.want {
			t.Errorf("%+v is\n%+v, want\n%+v", tt.shard, got[0], tt.want)
		}
	}
}

func TestCheckShards(t *testing.T) {
	dsns := func(list ...string) func(*Config) {
		return func(c *Config) {
			for _, dsn := range list {
				c.Shards = append(c.Shards, Shard{DSN: dsn})
			}
		}
	}
	one := func(s Shard) func(*Config) { return func(c *Config) { c.Shards = []Shard{s} } }
	control := func(dsn string, shards ...string) func(*Config) {
		return func(c *Config) { dsns(shards...)(c); c.Control = dsn }
	}
	const a = "mysql://chat:hunter2@db/chat"
	for _, tt := range []struct {
		name string
		set  func(*Config)
		want string // "" for sound, else a regexp of the one problem
	}{
		{"two prefixes in one database", dsns(a, a+"?prefix=b_"), ""},
		{"engines mixed", dsns(a, "postgres://chat@db/chat2", "sqlite:a.db"), ""},
		{"no dsn", one(Shard{Name: "a"}), `shards\[0\]: it has no dsn; write mysql://`},
		{"no kind", dsns("chat"), `shards\[0\]: .*kind of database`},
		{"unknown kind", dsns(a, "oracle://chat:hunter2@db/chat"), `shards\[1\]: .*"oracle" are not known`},
		{"a DSN of the driver", dsns("chat:hunter2@tcp(127.0.0.1:3306)/chat"), `shards\[0\]: its dsn is not a URL; write mysql://`},
		{"an odd password", dsns("mysql://chat:hunter2/#@db/chat"), `shards\[0\]: its dsn is not a URL; .*%2F`},
		{"no database", dsns("mysql://chat:hunter2@db"), `shards\[0\]: its dsn names no database`},
		{"two databases", dsns("mysql://chat:hunter2@db/a/b"), `shards\[0\]: its dsn names no database`},
		{"listed twice", dsns(a, a), `shards\[1\]: .*same tables as (db|localhost)/chat: the shard is listed twice`},
		{"listed twice, in other words", dsns("mysql://x@localhost/chat", "mariadb://y@127.0.0.1:3306/chat?prefix=roomtide_"), `shards\[1\]: .*same tables as (db|localhost)/chat: the shard is listed twice`},
		{"prefixes with a table in common", dsns(a+"?prefix=a_user_", a+"?prefix=a_"), `shards\[1\]: .*same tables as db/chat/a_user_`},
		{"the same name", dsns(a, "postgres://chat@db/chat"), `shards\[1\]: another shard has the name "db/chat"`},
		{"no identifier", one(Shard{DSN: a, Prefix: "a`; DROP TABLE x; --"}), `shards\[0\]: the prefix .* is no identifier`},
		{"a prefix in capitals", dsns(a + "?prefix=Chat_"), `shards\[0\]: the prefix "Chat_" is no identifier`},
		{"two prefixes", one(Shard{DSN: a + "?prefix=a_", Prefix: "b_"}), `shards\[0\]: .*another prefix`},
		{"two passwords", one(Shard{DSN: a, PasswordEnv: "X"}), `shards\[0\]: it has more than one password`},
		{"no such variable", one(Shard{DSN: "mysql://chat@db/chat", PasswordEnv: "NOPE"}), `shards\[0\]: the environment variable NOPE is not set`},
		{"no such file", one(Shard{DSN: "mysql://chat@db/chat", PasswordFile: "/nowhere/p"}), `shards\[0\]: /nowhere/p cannot be read: no such file`},
		{"a name with a comma", one(Shard{DSN: a, Name: "a,b"}), `shards\[0\]: "a,b" is no name`},
		{"the name of a file", one(Shard{DSN: a, Name: "shard-0.db"}), `shards\[0\]: .*is that of a file`},
		{"a path", dsns("sqlite:/tmp/a.db"), `shards\[0\]: .*no name for a file`},
		{"the control file", dsns("sqlite:control.db"), `shards\[0\]: control.db is the control database`},
		{"a file by another name", one(Shard{DSN: "sqlite:a.db", Name: "b"}), `shards\[0\]: a SQLite file is named as the file`},
		{"fewer connections than none", one(Shard{DSN: a, MaxConnections: -1}), `shards\[0\]: .*at least 1`},
		{"control", control("mysql://chat:hunter2@other/control"), ""},
		{"control by name", control("db/chat", a), ""},
		{"control in the data dir", control("sqlite:control.db", a), ""},
		{"control in another file", control("sqlite:other.db"), `control: .*sqlite:control.db`},
		{"control of no shard", control("db", a), `control: no shard has the name "db"`},
		{"control of no kind", control("redis://db/0", a), `control: .*"redis" are not known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.set(c)
			ps := c.Check()
			switch {
			case tt.want == "" && ps != nil:
				t.Error(ps)
			case tt.want != "" && (len(ps) != 1 || !regexp.MustCompile(tt.want).MatchString(ps.Error())):
				t.Errorf("problems %v, want one like %q", ps, tt.want)
			case strings.Contains(ps.Error(), "hunter2"):
				t.Errorf("the password is shown: %v", ps)
			}
		})
	}
}

func TestSourcesOfShards(t *testing.T) {
	const file = "[[shards]]\nname = 'a'\ndsn = 'mysql://x@file/chat'\npassword_env = 'ROOMTIDE_DB'\n"
	c, err := load(t, file, []string{"ROOMTIDE_DB=pw"}, nil)
	if err != nil || len(c.Shards) != 1 || c.Warnings() != nil {
		t.Fatal(c, err)
	}
	if d, err := c.Databases(); err != nil || d[0].DSN != "mysql://x:pw@file/chat" {
		t.Errorf("%+v, %v", d, err)
	}
	c, err = load(t, file, []string{"ROOMTIDE_SHARD=mysql://x@one/chat\n postgres://x@two/a,b"}, nil)
	if err != nil || len(c.Shards) != 2 || c.Shards[1].DSN != "postgres://x@two/a,b" {
		t.Errorf("the environment gives %+v, %v", c.Shards, err)
	}
	c, err = load(t, "shards = ['mysql://x@list/chat']", nil, nil)
	if err != nil || len(c.Shards) != 1 || c.Shards[0].DSN != "mysql://x@list/chat" {
		t.Errorf("a list gives %+v, %v", c.Shards, err)
	}
	c, err = load(t, file, nil, func(c *Config) { c.Shards = []Shard{{DSN: "mysql://x@flag/chat"}} }, "shard")
	if err != nil || len(c.Shards) != 1 || c.Shards[0].DSN != "mysql://x@flag/chat" || c.origin["shards"] != "--shard" {
		t.Errorf("the flag gives %+v from %s, %v", c.Shards, c.origin["shards"], err)
	}
}

// No password is printed, whichever way it was given.
func TestPrintShards(t *testing.T) {
	c, err := load(t, "[[shards]]\nname = 'a'\ndsn = 'mysql://x:hunter2@db/chat'\n[[shards]]\ndsn = 'postgres://x@db/chat?password=hunter2&sslmode=require'\nprefix = 'b_'\n"+
		"[[shards]]\ndsn = 'x:hunter2@tcp(db)/chat'\n[[shards]]\ndsn = 'mysql://x:hunter2/@db/chat'\n",
		[]string{"ROOMTIDE_CONTROL=mysql://x:hunter2@db/control"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, "hunter2") {
		t.Errorf("a password is shown:\n%s", out)
	}
	var back Config
	if err := decode("out", b.Bytes(), &back); err != nil || len(back.Shards) != 4 || back.Shards[0].Name != "a" || back.Shards[1].Prefix != "b_" {
		t.Errorf("what is printed cannot be read: %v\n%s", err, out)
	}
	for _, want := range []string{"mysql://x:xxxxx@db/chat", "sslmode=require", "mysql://x:xxxxx@db/control"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
