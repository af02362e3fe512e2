package php

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdb"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var program *testprocess.Program

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(withServers{m}, "", func(p *testprocess.Program) { program = p }))
}

// withServers are the tests, with the database servers that they share.
type withServers struct{ m *testing.M }

func (s withServers) Run() int { return testdb.Main(s.m) }

// scriptTime is how long a script may take. On a machine with nothing else to do each
// takes a few seconds.
const scriptTime = 3 * time.Minute

// site is a node, and what PHP needs to talk to it.
type site struct {
	t    *testing.T
	dir  string // of the node
	addr string
	node *testprocess.Node
	key  string // an API key that may do everything
}

func newSite(t *testing.T, flags ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), addr: testprocess.FreeAddr(t)}
	s.node = program.StartWith(t, s.dir, s.addr, append([]string{"--guests", "off", "--push-log"}, flags...))
	s.node.Ready()
	s.key = s.newKey("*")
	return s
}

func (s *site) newKey(scope string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), scriptTime)
	defer cancel()
	out, errs, err := program.Run(ctx, "key", "add", "php", "--scope", scope, "--data-dir", s.dir)
	if err != nil {
		s.t.Fatalf("making a key: %v\n%s", err, errs)
	}
	return strings.TrimSpace(out)
}

// env is the environment of scripts.
func (s *site) env(more ...string) []string {
	return append([]string{"URL=" + s.node.URL(""), "KEY=" + s.key, "TOKEN_KEY=" + filepath.Join(s.dir, "token.key")}, more...)
}

// command is a script of testdata, in the strictest mode of PHP.
func command(ctx context.Context, t *testing.T, env []string, script string, args ...string) *exec.Cmd {
	t.Helper()
	src, err := filepath.Abs("../../clients/php/src")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-d", "error_reporting=-1", "-d", "display_errors=stderr", "-d", "memory_limit=256M", filepath.Join("testdata", script)}, args...)
	cmd := exec.CommandContext(ctx, "php", args...)
	cmd.Env = append(append(os.Environ(), "ROOMTIDE_PHP_SRC="+src), env...)
	return cmd
}

// run runs a script to its end, which must be good.
func run(t *testing.T, env []string, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	out, err := command(ctx, t, env, script, args...).CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// restart kills the node and starts it again.
func (s *site) restart() {
	s.t.Helper()
	s.node.Kill()
	s.node = program.StartWith(s.t, s.dir, s.addr, []string{"--guests", "off", "--push-log"})
}

// script is one that runs, and prints lines.
type script struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	read   int
	errs   bytes.Buffer
	cancel context.CancelFunc
}

func start(t *testing.T, env []string, name string, args ...string) *script {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	s := &script{t: t, cmd: command(ctx, t, env, name, args...), cancel: cancel}
	t.Cleanup(cancel)
	s.cmd.Stderr = &s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// after waits until the script has printed so many lines.
func (s *script) after(lines int) *script {
	s.t.Helper()
	for ; s.read < lines; s.read++ {
		if !s.lines.Scan() {
			err := s.cmd.Wait()
			s.t.Fatalf("the script has ended after %d lines: %v\n%s", s.read, err, s.errs.String())
		}
	}
	return s
}

// kill ends the script by SIGKILL.
func (s *script) kill() {
	s.cancel()
	_ = s.cmd.Wait() // killed
}

// died waits until the script has ended by SIGKILL.
func (s *script) died() {
	s.t.Helper()
	for s.lines.Scan() {
	}
	if err := s.cmd.Wait(); err == nil || err.Error() != "signal: killed" || s.errs.Len() > 0 {
		s.t.Fatalf("%v\n%s", err, s.errs.String())
	}
}

// end waits until the script has ended well.
func (s *script) end() {
	s.t.Helper()
	for s.lines.Scan() {
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.errs.String())
	}
}
