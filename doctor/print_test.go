package doctor

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

var some = []Finding{
	{"files", "data dir", OK, "/var/lib/roomtide, open to its owner alone", ""},
	{"files", "token.key", Warn, "it can be read by others, and so can what comes after it in this long line", "chmod 600 it"},
	{"node", "running", Fail, "a \x1b[31mred\x1b[0m answer", "start it"},
}

func TestPrintPlain(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, some, false, 60); err != nil {
		t.Fatal(err)
	}
	const text = `Files
  ok    data dir   /var/lib/roomtide, open to its owner
                   alone
  warn  token.key  it can be read by others, and so can what
                   comes after it in this long line
                   -> chmod 600 it

Node
  FAIL  running    a [31mred[0m answer
                   -> start it

1 failure, 1 warning
`
	if b.String() != text {
		t.Errorf("printed:\n%s\nwant:\n%s", b.String(), text)
	}
}

// On a terminal there are colors, and the same words.
func TestPrintColor(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, some[:2], true, 60); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1mFiles\x1b[0m\n", "  \x1b[32m✓\x1b[0m  data dir   /var", "\x1b[33m!\x1b[0m  token.key", "→ chmod 600 it\x1b[0m\n", "\x1b[1;33m1 warning\x1b[0m\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in %q", want, b.String())
		}
	}
	b.Reset()
	if err := Print(&b, some[:1], true, 60); err != nil || !strings.HasSuffix(b.String(), "\x1b[1;32mall is well\x1b[0m\n") {
		t.Errorf("%q (%v)", b.String(), err)
	}
}

func TestPrintJSON(t *testing.T) {
	var b strings.Builder
	if err := PrintJSON(&b, some); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Level    Level
		Findings []Finding
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil || got.Level != Fail || !reflect.DeepEqual(got.Findings, some) {
		t.Errorf("%s (%v)", b.String(), err)
	}
}

// The descriptors are those of the running node, if it has told.
func TestDescriptors(t *testing.T) {
	for _, tt := range []struct {
		self *server.Self
		max  int
		want string
	}{
		{&server.Self{Files: 200_000, Connections: 199_744}, 100_000, `ok machine/descriptors: the node may have 200000, enough for max_connections = 100000`},
		{&server.Self{Files: 20_000, Connections: 19_744}, 100_000, `ok machine/descriptors: the node may have 20000: 19744 connections fit`},
		{&server.Self{Files: 20_000, Connections: 19_744}, 50_000, `warn machine/descriptors: .* 19744 connections fit, and max_connections is 50000 -> raise the limit \(LimitNOFILE`},
		{&server.Self{Files: 1024, Connections: 768}, 100_000, `warn machine/descriptors: .* 768 connections fit`},
		{&server.Self{}, 100_000, `ok machine/descriptors: without a limit`},
		{nil, 1, `ok machine/descriptors: a process that is started here may have \d+, enough`},
	} {
		cfg := config.Default()
		cfg.MaxConnections = tt.max
		e := &examination{cfg: cfg, self: tt.self, section: sectionMachine}
		e.descriptors()
		want(t, e.found, tt.want)
	}
}

func TestReady(t *testing.T) {
	for _, tt := range []struct {
		self server.Self
		want []string
	}{
		{server.Self{}, nil},
		{server.Self{Ready: "no shard can be served", Down: []string{"a"}}, []string{`fail node/ready: no shard can be served -> the log`}},
		{server.Self{Down: []string{"db1/chat", "db2/chat"}}, []string{`fail node/ready: .* rooms of db1/chat, db2/chat cannot be stored -> .*roomtide shards`}},
	} {
		e := &examination{cfg: config.Default(), self: &tt.self, section: sectionNode}
		e.ready()
		if len(e.found) != len(tt.want) {
			t.Errorf("%+v: %v", tt.self, e.found)
		}
		want(t, e.found, tt.want...)
	}
}

func TestMachine(t *testing.T) {
	cfg := settings(t)
	fs := Examine(t.Context(), Options{Config: cfg})
	want(t, fs, `\w+ machine/disk: \d+ [MG]B free below /`, `\w+ machine/clock: 20`)
}
