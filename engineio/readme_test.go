package engineio_test

import (
	"os"
	"strings"
	"testing"
)

// The handler in README.md is the one that example_test.go runs.
func TestReadmeHasTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "// echo sends every message back.", "\n// An echo server"
	_, rest, found := strings.Cut(string(source), begin)
	body, _, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("example_test.go has no echo")
	}
	if want := "```go\n" + begin + body + "```\n"; !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not have this:\n%s", want)
	}
}
