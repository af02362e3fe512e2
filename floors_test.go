package roomtide_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/roomtide/roomtide"

// floors gives every package its floor. A package imports lower floors only,
// never its own: so there are no cycles of ideas, and each can be read with
// what is below it in mind and nothing else. A new package gets a line here.
//
// Three sorts of packages have none, and only tests may import them: suites
// (…test), which a contract's drivers run; helpers under internal that are not
// listed; and directories that hold only tests.
var floors = map[string]int{
	"chat":      0, // nouns and rules, no I/O
	"websocket": 0, // RFC 6455 and 7692, knows nothing of chat

	"internal/crashpoint": 0,
	"internal/poll":       0,
	"internal/lru":        0,
	"internal/atomicfile": 0,
	"internal/writev":     0,

	"internal/limit": 1,

	"wire":        1, // commands and events <-> bytes
	"store":       1, // contracts
	"bus":         1,
	"presence":    1,
	"consistency": 1,

	"engineio": 1, // protocols themselves, know nothing of chat
	"socketio": 1,

	"store/sqlite":         driver, // each passes its contract's suite
	"bus/membus":           driver,
	"presence/mempresence": driver,
	"client":               2,
	"identity":             2, // who is speaking

	"hub":     3, // fan-out
	"lane":    3, // the only way a change enters a room
	"engine":  4, // what a user can do
	"session": 5, // one client's conversation

	"httpapi": 6, // transports
	"wsapi":   6,
	"sioapi":  6,
	"web":     6,

	"config":       7,
	"server":       8, // puts everything together
	"bench":        8,
	"cmd/roomtide": 9,

	"examples/socketio-echo": 9,

	"": 10, // the root: nothing to import
}

// siblings are the exceptions to "never a sibling": who may import whom.
var siblings = map[string]string{
	"socketio": "engineio", // one protocol on top of the other; both are libraries for anyone
}

// driver is the floor of drivers, which only server imports.
const driver = 2

var drivers = []string{"store/sqlite", "bus/membus", "presence/mempresence"}

// chat has to be usable, and testable, without a machine around it.
var noIO = []string{"net", "os", "database", "syscall", "io/fs", "log", "time/tzdata"}

func TestFloors(t *testing.T) {
	tree := readTree(t)
	for dir, p := range tree {
		if helper(dir) || p.testsOnly() {
			continue
		}
		floor, ok := floors[dir]
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
			switch below, known := floors[imp]; {
			case helper(imp):
				t.Errorf("%s imports %s, which is for tests only", dir, imp)
			case siblings[dir] == imp:
			case known && below >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): only downwards, never a sibling", dir, floor, imp, below)
			case slices.Contains(drivers, imp) && dir != "server":
				t.Errorf("%s imports the driver %s; only server does", dir, imp)
			}
		}
	}
	for dir := range floors {
		if tree[dir] == nil {
			t.Errorf("floors_test.go has a floor for %s, which is not there", dir)
		}
	}
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
	_, listed := floors[dir]
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
