package roomtide_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/roomtide/roomtide"

// floors is the tree, bottom floor first. A package imports lower floors only,
// never its own, so that there are no cycles of ideas and each package can be
// read with what is below it in mind and nothing else. A new package gets a line
// here; "make generate" then writes the table of docs/architecture.md anew.
//
// Three sorts of packages have no floor, and only tests may import them: suites
// (…test), which a contract's drivers run; helpers under internal that are not
// listed; and directories that hold only tests.
var floors = []floor{
	{"tools", "know nothing of chat", []row{
		{"websocket", "RFC 6455 and 7692"},
		{"adopt/decode", "plain text of message bodies as other chats store them"},
		{"internal/atomicfile", "writes a file whole or not at all"},
		{"internal/certfile", "certificates in files, read again when they were renewed"},
		{"internal/clientaddr", "the client's address behind trusted proxies"},
		{"internal/completion", "command lines completed by bash, zsh and fish, from kong's model"},
		{"internal/connlimit", "connections in all and by network"},
		{"internal/ece", "the encryption of Web Push: RFC 8188 and 8291"},
		{"internal/egress", "connections to addresses that others choose: public ones only"},
		{"internal/crashpoint", "named places where crash tests kill the process"},
		{"internal/guard", "panics of handlers, logged and counted in one form"},
		{"internal/lru", "a bounded map that forgets what was not used"},
		{"internal/planted", "mistakes that the fault runs have to notice, and a clock that is wrong; absent from releases"},
		{"internal/mysqldsn", "addresses of MySQL and MariaDB"},
		{"internal/memtune", "when garbage is collected, and memory returned to the system"},
		{"internal/wheel", "the deadlines of thousands of connections with one ticker"},
		{"internal/netwrite", "writes without blocking: many buffers in one system call, or a bounded buffer"},
		{"internal/origin", "which web pages may connect"},
		{"internal/poll", "waits for thousands of idle sockets in one goroutine"},
	}},
	{"nouns", "rules without I/O", []row{
		{"chat", "rooms, messages, limits, kinds of errors and events"},
	}},
	{"contracts", "what can be replaced, and how it is written down", []row{
		{"wire", "commands and events as bytes"},
		{"store", "where the truth lives: shards, deadlines, the outbox entry, pages of changes"},
		{"change", "durable commands as data, with a codec"},
		{"bus", "how committed events reach every node"},
		{"queue", "what waits for a lane, outside of its database"},
		{"presence", "who is online in a room"},
		{"ingest", "messages from queues that programs of the host write to"},
		{"push", "notifications to devices that are away: outcomes of attempts, and services that need a pause"},
		{"internal/limit", "concurrency limiter, and rates by key"},
		{"consistency", "decides from what clients saw whether promises were kept"},
		{"socketio/clientfiles", "the browser's client of Socket.IO, embedded"},
		{"engineio", "the Engine.IO protocol, for any program"},
	}},
	{"links", "connections to servers that several drivers share", []row{
		{"internal/embednats", "a NATS server inside the process, alone or one of a cluster"},
		{"internal/natslink", "the connection to NATS: made once, back by itself, what goes wrong in words"},
		{"internal/natsstream", "streams of bytes from node to node, over NATS"},
		{"internal/redislink", "a client of Redis: its options, what goes wrong in words"},
	}},
	{"SQL", "what drivers of databases over a network share", []row{
		{"store/sqldb", "tables, columns, questions and rules of SQL shards, for their engines"},
	}},
	{"drivers", "each passes its contract's suite; only server imports them", []row{
		{"store/sqlite", "one shard in a SQLite file"},
		{"store/mysql", "one shard in MySQL or MariaDB, and the control database"},
		{"store/postgres", "one shard, or the control database, in PostgreSQL"},
		{"bus/membus", "the bus of a single node"},
		{"bus/natsbus", "the bus between nodes, over NATS core"},
		{"queue/jetstream", "what waits for lanes, on a quorum of NATS servers"},
		{"queue/memqueue", "what waits for lanes, in memory, where a test needs no servers"},
		{"presence/mempresence", "presence of a single node"},
		{"presence/redispresence", "presence of several nodes, in Redis or Valkey"},
		{"presence/storepresence", "who is online, in the store: the answer of last resort"},
		{"ingest/redisingest", "messages from lists and streams of Redis"},
		{"ingest/natsingest", "messages from subjects of NATS, through JetStream"},
		{"push/fcm", "Firebase Cloud Messaging"},
		{"push/apns", "the Apple Push Notification service"},
		{"push/webpush", "Web Push, to browsers"},
		{"push/logpush", "notifications in the log, for development"},
	}},
	{"speakers", "who talks, and in which protocol", []row{
		{"identity", "users, guests, back ends and their tokens and keys"},
		{"client", "the Go client"},
		{"socketio", "the Socket.IO protocol on top of Engine.IO, for any program"},
		{"push/standin", "FCM, APNs and a Web Push service as a sender sees them, which fail on demand"},
	}},
	{"write and fan out", "the two halves of a message's road", []row{
		{"lane", "the only way a durable change enters a room: decide and commit"},
		{"hub", "the connections of this node and what is written to them"},
		{"roomcache", "what joins and questions read of rooms, in memory, as new as the database"},
	}},
	{"beside the lanes", "what follows their commits, which nodes there are, and copies of it all", []row{
		{"attendance", "which users are connected anywhere, for hosts that want to be told"},
		{"backup", "databases with a manifest: written, verified, put back"},
		{"outbox", "named consumers of what lanes committed, each with its own cursor"},
		{"cluster", "this node's name and lease, and the nodes that are alive"},
		{"hostevents", "what lanes committed, as a host's back end hears of it"},
		{"relay", "changes to the node that owns their lane, and outcomes back"},
	}},
	{"use cases", "", []row{
		{"engine", "what a user can do, one file per verb"},
	}},
	{"consumers", "work that follows a commit; they do not know each other", []row{
		{"projection", "the rooms of each user, in step with memberships; names, in step with profiles"},
		{"feed", "what was committed, for back ends that pull it at their own pace"},
		{"removal", "the rows of deleted rooms, in small steps"},
		{"notify", "push notifications: from messages to jobs for members who are away, from jobs to services"},
		{"onward", "changes of one lane that follow from commits of another"},
		{"transfer", "rooms and users as a file, out of one deployment and into another"},
		{"webhook", "what happens, to the host's back end: signed, in order, until it is taken"},
		{"mover", "slots from one shard to another, while the node serves"},
	}},
	{"conversations", "", []row{
		{"session", "one client's conversation, whatever the transport"},
	}},
	{"transports", "how clients connect", []row{
		{"wsapi", "native WebSocket"},
		{"sioapi", "Socket.IO"},
		{"httpapi", "HTTP and server-sent events"},
		{"web", "the page at /, roomtide.js"},
	}},
	{"settings", "", []row{
		{"config", "one struct: flags, environment, TOML file, docs"},
	}},
	{"mappings", "what the tables of another chat mean", []row{
		{"adopt/mapping", "the file of expressions, known schemas, and proposals for unknown ones"},
	}},
	{"sources", "the tables of another chat, read through a mapping", []row{
		{"adopt/source", "messages, rooms, members, users and read marks of a chat that moves in"},
	}},
	{"surveys", "what there is, before anything is written", []row{
		{"adopt/survey", "a mapping for a database, a preview, and what will not fit"},
	}},
	{"followers", "what changes in another chat", []row{
		{"adopt/follow", "which rows may have changed: by the binary log, triggers, polling, touches and sweeps"},
	}},
	{"programs", "put everything together", []row{
		{"server", "Open builds a node, Close undoes it in reverse"},
		{"adopt", "another chat moves in: copy, follow, mirror, compare, switch"},
		{"bench", "the load generator behind roomtide bench"},
	}},
	{"operators' tools", "what looks at a node from outside", []row{
		{"doctor", "findings about settings, files, machine, databases and the way to a node, each with what to do"},
	}},
	{"commands", "", []row{
		{"cmd/roomtide", "the verbs of the binary"},
		{"examples/socketio-echo", "socketio used as a library"},
		{"", "the root: documentation, and tests of the whole tree"},
	}},
}

type (
	floor struct {
		name, purpose string
		packages      []row
	}
	row struct{ dir, purpose string }
)

// driverFloor is the floor that only composition imports.
const driverFloor = "drivers"

// composes reports whether a package may import drivers.
func composes(dir string) bool { return dir == "server" }

// floorOf returns the number and name of a package's floor.
func floorOf(dir string) (number int, name string, ok bool) {
	for i, f := range floors {
		for _, p := range f.packages {
			if p.dir == dir {
				return i, f.name, true
			}
		}
	}
	return 0, "", false
}

// chat has to be usable, and testable, without a machine around it.
var noIO = []string{"net", "os", "database", "syscall", "io/fs", "log", "time/tzdata"}

func TestFloors(t *testing.T) {
	tree := readTree(t)
	for dir, p := range tree {
		if helper(dir) || p.testsOnly() {
			continue
		}
		number, name, ok := floorOf(dir)
		if !ok {
			t.Errorf("%s has no floor: give it a line in floors_test.go", dir)
			continue
		}
		for _, imp := range p.imports {
			if dir == "chat" && slices.ContainsFunc(noIO, func(s string) bool { return imp == s || strings.HasPrefix(imp, s+"/") }) {
				t.Errorf("chat imports %s, and must do no I/O", imp)
			}
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			imp = strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
			switch below, belowName, known := floorOf(imp); {
			case helper(imp):
				t.Errorf("%s imports %s, which is for tests only", dir, imp)
			case known && below >= number:
				t.Errorf("%s (%s) imports %s (%s): only downwards, never a sibling", dir, name, imp, belowName)
			case belowName == driverFloor && !composes(dir):
				t.Errorf("%s imports the driver %s; only server does", dir, imp)
			}
		}
	}
	for _, f := range floors {
		for _, p := range f.packages {
			if tree[p.dir] == nil {
				t.Errorf("floors_test.go has a line for %q, which is not there", p.dir)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the table of floors in docs/architecture.md anew")

// The table of docs/architecture.md is the one in this file.
func TestFloorsAreDocumented(t *testing.T) {
	const path, begin, end = "docs/architecture.md", "<!-- floors -->\n", "<!-- /floors -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", path, strings.TrimSpace(begin), end)
	}
	want := before + begin + floorTable() + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s has another table of floors than floors_test.go: run make generate", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// floorTable is floors in Markdown, top floor first, as one reads a house.
func floorTable() string {
	var b strings.Builder
	b.WriteString("| floor | package | purpose |\n| --- | --- | --- |\n")
	for _, f := range slices.Backward(floors) {
		name := "**" + f.name + "**"
		if f.purpose != "" {
			name += ": " + f.purpose
		}
		for _, p := range f.packages {
			if p.dir == "" {
				continue
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s |\n", name, p.dir, p.purpose)
			name = ""
		}
	}
	return b.String()
}

func TestPackageComments(t *testing.T) {
	for dir, p := range readTree(t) {
		if len(p.comments) != 1 {
			t.Errorf("%q has %d package comments %v, want exactly one", dir, len(p.comments), p.comments)
		}
	}
}

// helper reports whether only tests may import the package.
func helper(dir string) bool {
	_, _, listed := floorOf(dir)
	return strings.HasSuffix(dir, "test") || (strings.HasPrefix(dir, "internal/") && !listed)
}

// pkg is what the tests ask of a directory with Go files.
type pkg struct {
	code     int      // number of files that are not tests
	imports  []string // of those files
	comments []string // files with a package comment; of tests if there is nothing else
}

func (p *pkg) testsOnly() bool { return p.code == 0 }

// readTree reads every package of the module, by directory.
func readTree(t *testing.T) map[string]*pkg {
	t.Helper()
	tree := map[string]*pkg{}
	tests := map[string][]string{} // directory -> tests with a package comment
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "." {
			dir = ""
		}
		if tree[dir] == nil {
			tree[dir] = &pkg{}
		}
		if strings.HasSuffix(name, "_test.go") {
			if f.Doc != nil {
				tests[dir] = append(tests[dir], name)
			}
			return nil
		}
		tree[dir].add(name, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, p := range tree {
		if p.testsOnly() {
			p.comments = tests[dir]
		}
	}
	return tree
}

func (p *pkg) add(name string, f *ast.File) {
	p.code++
	if f.Doc != nil {
		p.comments = append(p.comments, name)
	}
	for _, s := range f.Imports {
		path, _ := strconv.Unquote(s.Path.Value) // parsed, so it can be unquoted
		p.imports = append(p.imports, path)
	}
}
