package php

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// The blocks of the section Start, in their order; behind them comes that of one's own site.
const (
	blockServe = iota
	blockPackage
	blockPages
	blockSay
	blockOwnSite
	blocks
)

// What docs/php.md prints is run, but for the addresses: from the node to messages of two
// people and of PHP in a page.
func TestStart(t *testing.T) {
	for _, file := range []string{"php.md", "php.zh-CN.md"} {
		t.Run(file, func(t *testing.T) { walk(t, "../../docs/"+file) })
	}
}

func walk(t *testing.T, document string) {
	all, err := markdown.Blocks(document)
	if err != nil {
		t.Fatal(err)
	}
	var shell []string
	for _, b := range all {
		if b.Lang == "sh" {
			shell = append(shell, b.Text)
		}
	}
	if len(shell) != blocks {
		t.Fatalf("%s has %d blocks for a shell, and this test runs %d", document, len(shell), blocks)
	}
	m := &machine{t: t, dir: t.TempDir(), node: testprocess.FreeAddr(t), pages: testprocess.FreeAddr(t)}
	for _, dir := range []string{"clients/php", "examples/php"} {
		if err := os.CopyFS(filepath.Join(m.dir, dir), os.DirFS("../../"+dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program.Path, filepath.Join(m.dir, "bin/roomtide")); err != nil {
		t.Fatal(err)
	}
	log := m.logErrors()
	m.serve(strings.ReplaceAll(shell[blockServe], "make build\n", "exec "), m.node)
	m.run(shell[blockPackage])
	m.serve(strings.Replace(shell[blockPages], "php -S", "cd examples/php; exec php -S", 1), m.pages)
	ann, ben := newWindow(t, m.pages, "Ann"), newWindow(t, m.pages, "Ben <b>")
	ann.do(chromedp.SendKeys("#say input", "Hello Ben\r"))
	ben.shows("AnnHello Ben")
	ben.do(chromedp.Click("#order button"))
	ann.shows("The shopBen <b> has ordered: number 1.")
	m.run(shell[blockSay])
	ann.shows("The shopHello from PHP")
	m.run("cd examples/php; php cron.php")
	m.run("mkdir own; cd own; echo '{}' >composer.json\n" +
		strings.ReplaceAll(shell[blockOwnSite], "/path/to/roomtide", m.dir) +
		`php -r 'require "vendor/autoload.php"; echo Roomtide\Key::generate();'`)
	if text, err := os.ReadFile(log); err == nil && strings.Contains(string(text), m.dir) { // Composer may have warnings of its own
		t.Errorf("PHP warned:\n%s", text)
	}
}

// machine is a directory that looks like a copy of the repository.
type machine struct {
	t           *testing.T
	dir         string
	node, pages string // addresses
}

// logErrors has PHP write every warning into the file that it returns.
func (m *machine) logErrors() string {
	log := filepath.Join(m.dir, "php.log")
	ini := "error_reporting = -1\nlog_errors = 1\nerror_log = " + log + "\n"
	if err := os.WriteFile(filepath.Join(m.dir, "php.ini"), []byte(ini), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return log
}

// command is a part of the document, for the addresses of this test.
func (m *machine) command(ctx context.Context, text string) *exec.Cmd {
	text = strings.NewReplacer("roomtide serve", "roomtide serve --listen "+m.node, "localhost:8000", m.pages).Replace(text)
	cmd := exec.CommandContext(ctx, "bash", "-euc", text)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "ROOMTIDE_URL=http://"+m.node, "ROOMTIDE_TIMEOUT=60", "PHPRC="+m.dir,
		"COMPOSER_HOME="+filepath.Join(m.dir, ".composer"), "COMPOSER_ALLOW_SUPERUSER=1", "COMPOSER_DISABLE_NETWORK=1")
	return cmd
}

// run runs a block to its end.
func (m *machine) run(text string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), scriptTime)
	defer cancel()
	if out, err := m.command(ctx, text).CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v\n%s", text, err, out)
	}
}

// serve starts what listens on the address, and waits until it does.
func (m *machine) serve(text, addr string) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := m.command(ctx, text)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(exited)
	}()
	m.t.Cleanup(func() {
		cancel()
		<-exited
		if m.t.Failed() {
			m.t.Logf("%s wrote:\n%s", text, out.String())
		}
	})
	deadline := time.After(scriptTime)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-exited:
			m.t.Fatalf("%s has ended", text)
		case <-deadline:
			m.t.Fatalf("%s does not listen", text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
