package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// exitCode of a verb that has ended.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode()
	}
	return 0
}

// The program as a shell sees it: what goes where, and with which exit code.
func TestCommandLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := program.Start(t, dir, testprocess.FreeAddr(t))
	n.Ready()
	for _, tt := range []struct {
		args           string
		code           int
		stdout, stderr string // parts
	}{
		{"--version", 0, "roomtide ", ""},
		{"-v", 0, "roomtide ", ""},
		{"help key add", 0, "Usage: roomtide key add", ""},
		{"completion bash", 0, "complete -F _roomtide roomtide", ""},
		{"", 2, "", "Usage: roomtide <command>"},
		{"sned", 2, "", `did you mean "send"`},
		{"bench nope", 2, "", `there is no scenario "nope"; "roomtide bench --help" tells more`},
		{"token --user= --data-dir=" + dir, 2, "", "user is missing"},
		{"token --user=a --data-dir=" + t.TempDir(), 1, "", "start the server once, or name its --data-dir"},
		{"serve --listen=127.0.0.1:0 --data-dir=" + dir, 1, "", "the data directory " + dir + " is in use by another roomtide: stop that one first"},
		{"doctor --data-dir=" + dir + " --listen=" + n.Addr + " --no-rate-limits --url=http://" + n.Addr, 0, "ok    running", ""},
		{"send --url=" + n.Addr + " --user=ann --room=a hello", 0, "1\n", ""},
	} {
		out, errs, err := program.Run(testContext(t), strings.Fields(tt.args)...)
		if code := exitCode(t, err); code != tt.code || !strings.Contains(out, tt.stdout) || !strings.Contains(errs, tt.stderr) {
			t.Errorf("roomtide %s: exit code %d, want %d\n%s%s", tt.args, code, tt.code, out, errs)
		}
		if (tt.stdout == "") != (out == "") || (tt.stderr == "") != (errs == "") {
			t.Errorf("roomtide %s: printed %q, and said %q", tt.args, out, errs)
		}
	}
}

// A pipe with lines that cannot be messages is sent to its end.
func TestSendFromAPipe(t *testing.T) {
	n := program.Start(t, t.TempDir(), testprocess.FreeAddr(t))
	n.Ready()
	cmd := exec.CommandContext(testContext(t), program.Path, "send", "--url", n.Addr, "--user", "ann", "--room", "a")
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader("a\n\nb\n"+strings.Repeat("x", 5000)+"\nc"), &errs
	out, err := cmd.Output()
	if code := exitCode(t, err); code != 1 || string(out) != "1\n2\n3\n" {
		t.Errorf("exit code %d, printed %q", code, out)
	}
	if said := errs.String(); !strings.Contains(said, "line 2 was left out: message is empty\nline 4 was left out: message is longer than 4000 characters\n") {
		t.Errorf("said %q", said)
	}
}

// The progress of a benchmark and its result do not mix.
func TestBenchTellsHowFarItIs(t *testing.T) {
	args := []string{"bench", "--rooms=2", "--members=2", "--senders=1", "--duration=300ms", "--json"}
	out, errs, err := program.Run(testContext(t), args...)
	if err != nil || !json.Valid([]byte(out)) {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	for _, want := range []string{"load: starting a server\n", "load: connecting, ", "load: working, 0 of 0 s"} {
		if !strings.Contains(errs, want) {
			t.Errorf("nothing said %q:\n%s", want, errs)
		}
	}
	if _, errs, err := program.Run(testContext(t), append(args, "--quiet")...); err != nil || errs != "" {
		t.Errorf("a quiet run said %q (%v)", errs, err)
	}
}
