package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

// roomtide runs a command line to its end.
func roomtide(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(&app{ctx: ctx, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}, args)
	return out.String(), errs.String(), code
}

// must is roomtide for command lines that have to work; it returns the output
// without the last newline.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := roomtide(t, "", args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, errs)
	}
	return strings.TrimSuffix(out, "\n")
}

func TestWords(t *testing.T) {
	one := chat.E(chat.Invalid, "one is wrong")
	two := &chat.Error{Kind: chat.Invalid, Text: "two is wrong", Err: io.ErrUnexpectedEOF}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{one, "one is wrong"},
		{two, "two is wrong (unexpected EOF)"},
		{io.EOF, "EOF"},
		{errors.Join(one, nil, errors.Join(two, io.EOF)), "one is wrong\n  two is wrong (unexpected EOF)\n  EOF"},
	} {
		if got := words(tt.err); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	empty, made := t.TempDir(), t.TempDir()
	cfg := config.Default()
	cfg.DataDir = made
	if _, err := server.Secret(cfg, true); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   string
		code   int
		stderr string // regexp
	}{
		{"", 2, `Usage: roomtide <command>`},
		{"sned", 2, `did you mean "send"`},
		{"serve --bogus", 2, `unknown flag --bogus.*"roomtide serve --help" tells more`},
		{"serve --listen=:80 --data-dir=" + empty, 2, `listen: .*--insecure-http`},
		{"serve --config=/nowhere/x.toml", 2, `/nowhere/x\.toml`},
		{"config check --guests=perhaps", 2, `guests: `},
		{"config check --nats-embedded --node=a --nats-cluster-listen=127.0.0.1:1 --nats-routes=127.0.0.1:1,127.0.0.1:2", 2, `two servers: .*roomtide witness`},
		{"witness", 2, `nats\.routes: a witness is one of several`},
		{"witness --node=w --nats-cluster-listen=:6222 --nats-routes=a:6222,b:6222,c:6222", 2, `nats\.password_file: .*openssl rand`},
		{"send --room=a hello", 2, `--user`},
		{"send --room=a --user=b --token=c hello", 2, `leave out`},
		{"send --room=a --user=b --key=k", 2, `--key is for one message`},
		{"tail --user=b", 2, `missing flags: --room`},
		{"key add", 2, `<name>`},
		{"key add name --scope=fly", 2, `unknown scope fly`},
		{"key list --data-dir=" + empty, 1, `start the server once`},
		{"check --data-dir=" + empty, 1, `.`},
		{"token --user=a --data-dir=" + empty, 1, `start the server once, or name its --data-dir`},
		{"token --user=a --ttl=-1s --data-dir=" + made, 2, `live`},
		{"token --user= --data-dir=" + made, 2, `user is missing`},
		{"token --user=a --room= --data-dir=" + made, 2, `room is missing`},
		{"token --user=a --name=a\x01 --data-dir=" + made, 2, `name has`},
		{"key add \u200b --data-dir=" + made, 2, `name has`},
		{"send --room=a --user=b --key=a\x01 hello", 2, `key has`},
		{"tail --room=a --user=b --after=-1", 2, `not negative`},
		{"token revoke --user= --data-dir=" + made, 2, `user is missing`},
		{"token revoke --user=a --key=k --url=ftp://x", 2, `--url: .*not the URL of a node`},
		{"send --room= --user=b hello", 2, `room is missing`},
		{"send --room=a --user=b --url=ftp://x hello", 2, `--url: .*not the URL of a node`},
		{"tail --room=a --user=b --kinds=songs", 2, `no kind of event "songs"`},
		{"tail --room=a --user=b --kinds=typing", 2, `with --json only`},
		{"tail --room=a --room=b --user=b --after=3", 2, `one --room`},
		{"tail --room=a --room=a --user=b", 2, `named twice`},
		{"help sned", 2, `did you mean "send"`},
		{"bench nope", 2, `no scenario "nope"`},
		{"bench --rooms=x", 2, `--rooms`},
		{"bench --bogus", 2, `unknown flag --bogus`},
		{"bench load --members=0", 2, `at least one room with one member`},
		{"bench start --addr=127.0.0.1:1", 2, `leave out --addr`},
		{"completion tcsh", 2, `must be one of`},
		{"export", 2, `--room=ID or --user=ID or --all`},
		{"export --all --room=r", 2, `--room and --all can't be used together`},
		{"export --all --data-dir=" + empty, 1, `start the server once`},
		{"import --existing=merge x", 2, `refuse`},
		{"import x --data-dir=" + empty, 1, `start the server once`},
	} {
		_, stderr, code := roomtide(t, "", strings.Fields(tt.args)...)
		if code != tt.code || !regexp.MustCompile(tt.stderr).MatchString(stderr) {
			t.Errorf("roomtide %s: exit code %d, want %d; said %q, want %q", tt.args, code, tt.code, stderr, tt.stderr)
		}
	}
}

// What has no data dir is told so, and nothing is made there.
func TestTokenMakesNoSecret(t *testing.T) {
	empty := t.TempDir()
	_, forToken, code := roomtide(t, "", "token", "--user=a", "--data-dir="+empty)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	_, forKey, code := roomtide(t, "", "key", "add", "shop", "--data-dir="+empty)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	const remedy = "yet: start the server once, or name its --data-dir"
	for _, said := range []string{forToken, forKey} {
		if !strings.Contains(said, remedy) || !strings.Contains(said, empty) {
			t.Errorf("said %q", said)
		}
	}
	if made, err := os.ReadDir(empty); err != nil || len(made) > 0 {
		t.Errorf("made %v (%v)", made, err)
	}
}

// A second node on one data dir names the directory, the process that has it, and the remedy.
func TestDataDirInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	for _, verb := range []string{"serve --listen=127.0.0.1:0", "check", "rebuild"} {
		_, stderr, code := roomtide(t, "", append(strings.Fields(verb), "--data-dir="+dir)...)
		want := "roomtide: the data directory " + dir + " is in use by another roomtide: stop that one first, or choose another directory with --data-dir (its lock is held by process " + strconv.Itoa(os.Getpid()) + ")\n"
		if code != 1 || !strings.HasSuffix(stderr, want) {
			t.Errorf("%s: exit code %d, said %q", verb, code, stderr)
		}
	}
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}
}

func TestHelp(t *testing.T) {
	for _, verb := range []string{"", "serve", "token", "token revoke", "key add", "key list", "key revoke", "config print", "config check", "config doc",
		"send", "tail", "bench", "check", "rebuild", "doctor", "room", "room list", "room show", "room create", "room set", "room archive",
		"room delete", "member list", "member add", "member remove", "member role", "member ban", "member unban", "user show", "user set",
		"backup", "restore", "export", "import", "version", "help", "completion"} {
		args := append(strings.Fields(verb), "--help")
		out := must(t, args...)
		if !strings.HasPrefix(out, "Usage: "+strings.TrimSpace("roomtide "+verb)) {
			t.Errorf("%v: %q", args, out)
		}
		if again := must(t, append([]string{"help"}, strings.Fields(verb)...)...); again != out {
			t.Errorf("help %s: %q", verb, again)
		}
		if has := strings.Contains(out, "--version"); has != (verb == "") {
			t.Errorf("%v: names --version: %v", args, has)
		}
	}
}

// Verbs that only take the settings do not explain all of them.
func TestHelpOfConfigIsShort(t *testing.T) {
	for _, verb := range []string{"config print", "config check", "doctor"} {
		out := must(t, append(strings.Fields(verb), "--help")...)
		if lines := strings.Count(out, "\n"); lines > 25 || (!strings.Contains(out, "flag of serve") && !strings.Contains(out, "flags of serve")) || !strings.Contains(out, "--data-dir") {
			t.Errorf("%s --help has %d lines:\n%s", verb, lines, out)
		}
	}
	if out := must(t, "serve", "--help"); !strings.Contains(out, "--rates-user-messages") {
		t.Errorf("serve --help: %s", out)
	}
}

func TestConfigVerbs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(file, []byte(must(t, "config", "doc", "--toml")), 0o600); err != nil {
		t.Fatal(err)
	}
	out := must(t, "config", "print", "--config", file, "--sqlite-shards=2")
	if !regexp.MustCompile(`(?m)^sqlite_shards = 2 +# --sqlite-shards$`).MatchString(out) {
		t.Errorf("config print: %s", out)
	}
	if out := must(t, "config", "check", "--config", file, "--no-rate-limits"); !strings.Contains(out, "warning: UNSAFE: rate limits are off") || !strings.Contains(out, "sound") {
		t.Errorf("config check: %s", out)
	}
	if out := must(t, "config", "doc"); !strings.HasPrefix(out, "# Configuration") {
		t.Errorf("config doc: %s", out)
	}
}

func TestVersion(t *testing.T) {
	defer func(was string) { stamp = was }(stamp)
	stamp = "v9.8.7"
	for _, args := range [][]string{{"version"}, {"--version"}, {"-v"}, {"send", "--version"}} {
		if out := must(t, args...); !strings.HasPrefix(out, "roomtide v9.8.7 (go1.") || strings.Contains(out, "\n") {
			t.Errorf("%v: %q", args, out)
		}
	}
	stamp = ""
	if v := version(); v == "" {
		t.Error("no version without a stamp")
	}
}

func TestSignals(t *testing.T) {
	exited := make(chan int, 1)
	ctx, stop := untilSignal(func(code int) { exited <- code })
	defer stop()
	kill := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	<-ctx.Done()
	if len(exited) != 0 {
		t.Fatal("the first signal ended the process")
	}
	kill()
	if code := <-exited; code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
}

// node is a running "roomtide serve".
type node struct {
	url, banner string
	stop        func() (stderr string, code int)
}

func serve(t *testing.T, dir string, args ...string) *node {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var errs bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(&app{ctx: ctx, stdin: strings.NewReader(""), stdout: w, stderr: &errs},
			append([]string{"serve", "--data-dir=" + dir, "--listen=127.0.0.1:0"}, args...))
		w.Close()
	}()
	n := &node{stop: func() (string, int) {
		cancel()
		code := <-done
		done <- code
		return errs.String(), code
	}}
	t.Cleanup(func() { n.stop() })
	in := bufio.NewScanner(r)
	for in.Scan() {
		n.banner += in.Text() + "\n"
		if url := strings.TrimSpace(in.Text()); strings.HasPrefix(url, "http") {
			n.url = url
		}
		if strings.Contains(in.Text(), "data in ") {
			go io.Copy(io.Discard, r) // ends with serve
			return n
		}
	}
	stderr, code := n.stop()
	t.Fatalf("the node did not start: exit code %d: %s", code, stderr)
	return nil
}

// The verbs together, as on the first day of a node.
func TestFirstDay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	if got := strings.Count(n.banner, "http"); got != 1 {
		t.Errorf("the banner has %d URLs, want one:\n%s", got, n.banner)
	}
	if _, err := os.Stat(filepath.Join(dir, "roomtide.toml")); err != nil {
		t.Error("the first start wrote no configuration file:", err)
	}
	if !strings.Contains(n.banner, "settings in "+filepath.Join(dir, "roomtide.toml")) {
		t.Errorf("the banner does not name the configuration file:\n%s", n.banner)
	}
	here := "--data-dir=" + dir

	if out := must(t, "send", "--url="+n.url, "--user=ann", "--room=a", "--key=k", "hello", "you"); out != "1" {
		t.Errorf("the first message has number %s", out)
	}
	token := must(t, "token", here, "--user=bob", "--name=Bob")
	if out := must(t, "send", "--url="+n.url, "--user=ann", "--room=a", "--key=k", "hello", "you"); out != "1" {
		t.Errorf("the same key gave number %s", out)
	}
	out, errs, code := roomtide(t, "one\ntwo\n", "send", "--url="+n.url, "--token="+token, "--room=a")
	if out != "2\n3\n" || code != 0 {
		t.Errorf("lines from the standard input: %q, exit code %d: %s", out, code, errs)
	}
	if got := tail(t, 3, "--url="+n.url, "--user=cleo", "--room=a", "--after=0"); got != "ann: hello you|bob: one|bob: two" {
		t.Errorf("tail printed %q", got)
	}
	if bare := strings.TrimSuffix(strings.TrimPrefix(n.url, "http://"), "/"); must(t, "send", "--url="+bare, "--user=ann", "--room=b", "hi") != "1" {
		t.Errorf("--url=%s does not do", bare)
	}
	testKeys(t, here)

	stderr, code := n.stop()
	if code != 0 {
		t.Errorf("serve: exit code %d: %s", code, stderr)
	}
	if before, _, _ := strings.Cut(stderr, "stopping"); strings.Contains(before, "\n") {
		t.Errorf("a first start is more than its banner:\n%s", before)
	}
	if out := must(t, "rebuild", here); out != "done" {
		t.Errorf("rebuild: %s", out)
	}
	if out := must(t, "check", here); !strings.HasSuffix(out, "is whole") {
		t.Errorf("check: %s", out)
	}
}

// tail runs "roomtide tail --json" until n messages have come.
func tail(t *testing.T, n int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, w := io.Pipe()
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(&app{ctx: ctx, stdout: w, stderr: &errs}, append([]string{"tail", "--json"}, args...))
		w.Close()
	}()
	var got []string
	for in := bufio.NewScanner(r); len(got) < n && in.Scan(); {
		var ev struct{ Type, User, Message string }
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			t.Errorf("not JSON: %q", in.Text())
		}
		if ev.Type == "message" {
			got = append(got, ev.User+": "+ev.Message)
		}
	}
	cancel()
	go io.Copy(io.Discard, r) // ends with tail
	if c := <-code; c != 0 {
		t.Errorf("tail: exit code %d: %s", c, errs.String())
	}
	return strings.Join(got, "|")
}

func testKeys(t *testing.T, here string) {
	raw := must(t, "key", "add", here, "--scope=send,rooms", "shop back end")
	list := must(t, "key", "list", here)
	id := regexp.MustCompile(`(?m)^(\S+) +"shop back end" +send,rooms .* -$`).FindStringSubmatch(list)
	if id == nil || !strings.Contains(raw, id[1]) {
		t.Fatalf("the key is not listed: %s", list)
	}
	if secret := raw[strings.LastIndex(raw, "_"):]; strings.Contains(list, secret) {
		t.Error("the list shows the secret")
	}
	if out := must(t, "key", "revoke", here, id[1]); out != "key "+id[1]+` ("shop back end") is revoked; a running node refuses it within 1s` {
		t.Errorf("key revoke: %s", out)
	}
	if out := must(t, "key", "revoke", here, id[1]); !strings.HasPrefix(out, "key "+id[1]+` ("shop back end") was revoked on 2`) {
		t.Errorf("key revoke again: %s", out)
	}
	if list := must(t, "key", "list", here); strings.HasSuffix(list, " -") {
		t.Errorf("the key is not revoked: %s", list)
	}
	if _, errs, code := roomtide(t, "", "key", "revoke", here, "nobody"); code != 1 || !strings.Contains(errs, "key list") {
		t.Errorf("revoking an unknown key: %d %s", code, errs)
	}
}
