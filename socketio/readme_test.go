package socketio_test

import (
	"os"
	"strings"
	"testing"
)

// The server in README.md is the one that example_test.go runs.
func TestReadmeHasTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(source), "func newChat()")
	body, _, ended := strings.Cut(rest, "\n}\n")
	if !found || !ended {
		t.Fatal("example_test.go has no newChat")
	}
	if want := "```go\nfunc newChat()" + body + "\n}\n```\n"; !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not have this:\n%s", want)
	}
}
