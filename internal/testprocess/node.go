package testprocess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Program is a built roomtide.
type Program struct {
	Path string
	dir  string
}

// Build builds the program, with the given build tags. TestMain calls it, and
// Remove at the end.
func Build(tags string) (*Program, error) {
	dir, err := os.MkdirTemp("", "roomtide-test-")
	if err != nil {
		return nil, err
	}
	p := &Program{Path: filepath.Join(dir, "roomtide"), dir: dir}
	out, err := exec.Command("go", "build", "-tags", tags, "-o", p.Path, "github.com/roomtide/roomtide/cmd/roomtide").CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("building the program: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return p, nil
}

// Remove deletes the program.
func (p *Program) Remove() error { return os.RemoveAll(p.dir) }

// Tests are those of a package, such as *testing.M.
type Tests interface{ Run() int }

// Main builds the program, runs the tests and returns the exit code.
func Main(m Tests, tags string, use func(*Program)) int {
	p, err := Build(tags)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(p)
	code := m.Run()
	if err := p.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Run runs a verb to its end and returns what it printed.
func (p *Program) Run(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	return p.RunWith(ctx, nil, args...)
}

// RunWith is Run with additions to the environment.
func (p *Program) RunWith(ctx context.Context, env []string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	var out, errs log
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(env...), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// environment is that of the test without settings of Roomtide.
func environment(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ROOMTIDE_") {
			env = append(env, kv)
		}
	}
	return append(env, more...)
}

// FreeAddr returns a loopback address without a listener, a different one at each
// call. Where all of 127/8 is loopback, its host belongs to this process alone:
// tests in other processes, which let the system choose a port of 127.0.0.1, cannot
// take the address before the node has it, or while the node is down.
func FreeAddr(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	for {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff))
		if err != nil {
			ln, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		if _, again := returned.LoadOrStore(addr, true); !again {
			return addr
		}
	}
}

// returned are the addresses that FreeAddr has returned.
var returned sync.Map

// Node is a running process of the program.
type Node struct {
	Addr    string
	Started time.Time

	t      testing.TB
	cmd    *exec.Cmd
	errs   log
	exited chan struct{} // closed after state was set
	state  *os.ProcessState
}

// Start starts a node on the data directory and address and does not wait until it
// is ready. env is added to its environment. The node is killed when the test ends.
func (p *Program) Start(t testing.TB, dir, addr string, env ...string) *Node {
	t.Helper()
	return p.StartWith(t, dir, addr, nil, env...)
}

// StartWith is Start with further flags.
func (p *Program) StartWith(t testing.TB, dir, addr string, flags []string, env ...string) *Node {
	t.Helper()
	shareKey(t, dir, env)
	n := &Node{Addr: addr, t: t, exited: make(chan struct{})}
	n.cmd = exec.Command(p.Path, append([]string{"serve", "--listen", addr, "--data-dir", dir, "--no-rate-limits"}, flags...)...)
	n.cmd.Env, n.cmd.Stderr = environment(env...), &n.errs
	n.Started = time.Now()
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = n.cmd.Wait() // state holds the outcome
		n.state = n.cmd.ProcessState
		close(n.exited)
	}()
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill() // it may have ended
		<-n.exited
		if t.Failed() {
			t.Logf("the node on %s wrote:\n%s", addr, n.Stderr())
		}
	})
	return n
}

// URL of the node with a path.
func (n *Node) URL(path string) string { return "http://" + n.Addr + path }

// Pid is the id of the process.
func (n *Node) Pid() int { return n.cmd.Process.Pid }

// Stderr is what the node wrote to standard error so far.
func (n *Node) Stderr() string { return n.errs.String() }

// Exited is closed when the process has ended.
func (n *Node) Exited() <-chan struct{} { return n.exited }

// Ready waits until /readyz answers 200.
func (n *Node) Ready() {
	n.t.Helper()
	if status := n.WaitStatus("/readyz", http.StatusOK); status != http.StatusOK {
		n.t.Fatalf("the node is not ready: %d\n%s", status, n.Stderr())
	}
}

// WaitStatus requests a path until the answer has the status, for at most two
// minutes, and returns the last status, 0 if there was no answer.
func (n *Node) WaitStatus(path string, want int) (status int) {
	n.t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	deadline := time.After(2 * time.Minute)
	for {
		status = 0
		if resp, err := client.Get(n.URL(path)); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			status = resp.StatusCode
		}
		if status == want {
			return status
		}
		select {
		case <-n.exited:
			return status
		case <-deadline:
			return status
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	n.t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		n.t.Fatal(err)
	}
	<-n.exited
}

// Terminate sends SIGTERM, waits at most for bound, and returns the exit code.
func (n *Node) Terminate(bound time.Duration) (code int) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	return n.Wait(bound)
}

// Wait waits at most for bound until the process ends and returns its exit code,
// -1 if a signal ended it.
func (n *Node) Wait(bound time.Duration) (code int) {
	n.t.Helper()
	select {
	case <-n.exited:
		return n.state.ExitCode()
	case <-time.After(bound):
		n.t.Fatalf("the node has not ended after %v\n%s", bound, n.Stderr())
		return -1
	}
}

// log collects what a process writes. It is safe for concurrent use.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
