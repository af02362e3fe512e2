// Package socketio tests chat with the stock Socket.IO clients, the published npm
// packages, in Node and in Chromium, against the real program.
package socketio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// versions are the clients, by the names under which they are installed.
var versions = []struct{ name, version string }{
	{"io4", "4.8.4"}, {"io3", "3.1.3"}, {"io2", "2.5.0"}, {"io1", "1.7.4"},
}

// collectors are the clients that put all that waits into one request to poll with:
// those before 4.5.
var collectors = []struct{ name, version string }{
	{"io44", "4.4.1"}, {"io3", "3.1.3"}, {"io2", "2.5.0"}, {"io1", "1.7.4"},
}

// Set by TestMain, once.
var (
	program  *testprocess.Program
	packages string // the directory with node_modules
	scripts  *node
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests of the stock clients cannot run:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, fmt.Errorf("%s is not in PATH; install the packages nodejs and npm", tool)
		}
	}
	if packages, err = install(); err != nil {
		return 0, err
	}
	defer os.RemoveAll(packages)
	if scripts, err = startNode(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, scripts.stop()) }()
	return testprocess.Main(withServers{m}, "", func(p *testprocess.Program) { program = p }), nil
}

// withServers are the tests, with the database servers that they share.
type withServers struct{ m *testing.M }

func (s withServers) Run() int { return testdb.Main(s.m) }

// install installs the clients with npm in a temporary directory.
func install() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "roomtide-stock-"); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	list := []string{"io44@npm:socket.io-client@4.4.1", "socket.io@4.8.3"} // the latter is the server that "roomtide bench --node" measures
	for _, v := range versions {
		list = append(list, v.name+"@npm:socket.io-client@"+v.version)
	}
	if err := testprocess.InstallNPM(ctx, dir, list...); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// node is the process of node.mjs. It holds the clients of all tests.
type node struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	errs bytes.Buffer

	mu    sync.Mutex
	calls map[int]chan answer
	last  int
	gone  bool
}

type answer struct {
	ID    int
	Value json.RawMessage
	Error string
}

func startNode() (*node, error) {
	n := &node{cmd: exec.Command("node", "node.mjs", packages), calls: map[int]chan answer{}}
	n.cmd.Stderr = &n.errs
	in, err := n.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	n.in = in
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go n.read(out)
	return n, nil
}

func (n *node) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			a.Error = fmt.Sprintf("not an answer: %s", lines.Bytes())
		}
		n.mu.Lock()
		if ch := n.calls[a.ID]; ch != nil {
			ch <- a
			delete(n.calls, a.ID)
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = true
	for _, ch := range n.calls {
		ch <- answer{Error: "node has ended"}
	}
}

// call calls a function of an object in node.mjs and returns the answer.
func (n *node) call(on, call string, args []any) (json.RawMessage, error) {
	ch := make(chan answer, 1)
	n.mu.Lock()
	if n.gone {
		n.mu.Unlock()
		return nil, errors.New("node has ended")
	}
	n.last++
	id := n.last
	n.calls[id] = ch
	line, err := json.Marshal(map[string]any{"id": id, "on": on, "call": call, "args": args})
	if err == nil {
		_, err = n.in.Write(append(line, '\n'))
	}
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a := <-ch
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Value, nil
}

func (n *node) stop() error {
	n.in.Close()
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("node: %w\n%s", err, &n.errs)
	}
	return nil
}

// object is an object made by peer.mjs, in Node or in a browser.
type object struct {
	t    testing.TB
	call func(call string, args []any) (json.RawMessage, error)
}

// newObject makes an object with a function of peer.mjs and a client's package.
func newObject(t testing.TB, maker, pkg string, args ...any) *object {
	t.Helper()
	name := t.Name() + " " + strconv.FormatInt(time.Now().UnixNano(), 36)
	if _, err := scripts.call(name, maker, append([]any{pkg}, args...)); err != nil {
		t.Fatal(err)
	}
	return &object{t, func(call string, args []any) (json.RawMessage, error) { return scripts.call(name, call, args) }}
}

// do calls a function of the object and decodes its result.
func do[T any](o *object, call string, args ...any) (v T) {
	o.t.Helper()
	raw, err := o.call(call, args)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		o.t.Fatalf("%s%.200v: %v", call, args, err)
	}
	return v
}

// documented returns the code blocks below a heading of the specification.
func documented(t testing.TB, heading string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol", "socketio.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the specification has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for {
		_, rest, found := strings.Cut(section, "```js\n")
		if !found {
			return blocks
		}
		block, rest, _ := strings.Cut(rest, "```\n")
		blocks, section = append(blocks, block), rest
	}
}
