package readme

import (
	"bytes"
	"context"
	"io"
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

// machine is a home with a fresh copy of the tree in it, on a system without Go. The
// environment leads the commands of the README, as they are printed, to addresses of
// the test: the node listens where ROOMTIDE_LISTEN says, curl finds hosts by ~/.curlrc.
type machine struct {
	t          *testing.T
	home, tree string
	addr       string // of the node
	env        []string
}

func newMachine(t *testing.T, addr string) *machine {
	m := &machine{t: t, home: t.TempDir(), addr: addr}
	m.tree = filepath.Join(m.home, "roomtide")
	listed := m.goEnv("git", "ls-files", "-co", "--exclude-standard")
	for _, name := range strings.Fields(listed) {
		if st, err := os.Lstat(filepath.Join(root, name)); err == nil && st.Mode().IsRegular() { // not deleted
			copyFile(t, filepath.Join(root, name), filepath.Join(m.tree, name))
		}
	}
	archive := goArchive(t, "exec "+filepath.Join(m.goEnv("go", "env", "GOROOT"), "bin/PROGRAM")+` "$@"`)
	pin(t, m.tree, archive)
	m.env = []string{
		"PATH=" + bareSystem(t), "HOME=" + m.home, "GO_DL_URL=" + serveArchive(t, archive).URL + "/dl",
		"GOMODCACHE=" + m.goEnv("go", "env", "GOMODCACHE"), "GOCACHE=" + m.goEnv("go", "env", "GOCACHE"),
		"GOPROXY=" + m.goEnv("go", "env", "GOPROXY"), "GOTOOLCHAIN=local",
		"ROOMTIDE_LISTEN=" + addr, "ROOMTIDE_URL=http://" + addr,
	}
	m.write(".curlrc", "fail\nmax-time = 20\nconnect-to = \"127.0.0.1:8080:"+addr+"\"\n")
	return m
}

// goEnv returns what a program of the test's own system prints.
func (m *machine) goEnv(args ...string) string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), args[0], args[1:]...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatal(args, err)
	}
	return strings.TrimSpace(string(out))
}

// write appends to a file in the home.
func (m *machine) write(name, text string) {
	m.t.Helper()
	file := filepath.Join(m.home, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		m.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// job is a block that runs in a shell, with its children in a process group.
type job struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    output
	exited chan struct{} // closed after err was set
	err    error
}

// start runs a block in the tree, as one types it.
func (m *machine) start(block string) *job {
	m.t.Helper()
	j := &job{t: m.t, exited: make(chan struct{}), cmd: exec.Command("bash", "-e", "-c", block)}
	j.cmd.Dir, j.cmd.Env = m.tree, m.env
	j.cmd.Stdout, j.cmd.Stderr = &j.out, &j.out
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := j.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		j.err = j.cmd.Wait()
		close(j.exited)
	}()
	m.t.Cleanup(func() {
		j.signal(syscall.SIGKILL)
		<-j.exited
		if m.t.Failed() {
			m.t.Logf("%s\nprinted:\n%s", block, j.out.String())
		}
	})
	return j
}

// run runs a block to its end, which has to be a good one.
func (m *machine) run(block string) (out string) {
	m.t.Helper()
	j := m.start(block)
	select {
	case <-j.exited:
	case <-time.After(5 * time.Minute):
		m.t.Fatalf("has not ended:\n%s", block)
	}
	if j.err != nil {
		m.t.Fatalf("%v:\n%s\nprinted:\n%s", j.err, block, j.out.String())
	}
	return j.out.String()
}

// signal reaches the shell and its children, as Ctrl-C does; they may have ended.
func (j *job) signal(s syscall.Signal) { _ = syscall.Kill(-j.cmd.Process.Pid, s) }

// stop ends the block by a signal.
func (j *job) stop(s syscall.Signal) {
	j.t.Helper()
	j.signal(s)
	select {
	case <-j.exited:
	case <-time.After(30 * time.Second):
		j.t.Fatal("the block has not ended after a signal")
	}
}

// until waits until the block has printed a text.
func (j *job) until(text string) {
	j.t.Helper()
	for deadline := time.After(5 * time.Minute); ; {
		more := j.out.changed()
		if strings.Contains(j.out.String(), text) {
			return
		}
		select {
		case <-more:
		case <-j.exited:
			if !strings.Contains(j.out.String(), text) {
				j.t.Fatalf("the block has ended without %q: %v\n%s", text, j.err, j.out.String())
			}
		case <-deadline:
			j.t.Fatalf("the block has not printed %q, but:\n%s", text, j.out.String())
		}
	}
}

// ready waits until the node answers.
func (m *machine) ready(j *job) {
	m.t.Helper()
	j.until("http://" + m.addr + "/\n")
	resp, err := http.Get("http://" + m.addr + "/readyz") // it listens before it prints
	if err != nil {
		m.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		m.t.Fatal(resp.Status)
	}
}

// output collects what processes write, for several goroutines.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// changed is closed at the next write.
func (o *output) changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.more
}

// request makes a request with a header, if it is not empty, and returns the status and
// the body of its answer.
func request(t *testing.T, c *http.Client, method, url, header, value string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		r.Header.Set(header, value)
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(strings.NewReader("{}"))
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
