package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

const root = "../.."

var roomtide *testprocess.Program // set by TestMain

func TestMain(m *testing.M) {
	os.Exit(testprocess.Main(m, "", func(p *testprocess.Program) { roomtide = p }))
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// program finds one that scripts/need installs: in .tools, in the PATH, or where servers are.
func program(t *testing.T, name string) string {
	t.Helper()
	tools, err := filepath.Abs(filepath.Join(root, ".tools/bin", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{tools, name, "/usr/sbin/" + name, "/sbin/" + name} {
		if file, err := exec.LookPath(file); err == nil {
			return file
		}
	}
	t.Fatalf("%s is not installed; scripts/need installs it", name)
	return ""
}

// run runs a program to its end, which has to be a success, and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
