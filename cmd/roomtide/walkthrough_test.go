package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/roomtide/roomtide/internal/markdown"
)

// called is a call of the program in a document, in a block of a shell or in a sentence.
var called = regexp.MustCompile("(?:\\./bin/)?roomtide ([a-z][^`\n)|&]*)")

// The commands of the documents about moving a chat are ones that this program takes, flags
// and all; files that they name are there; and the Chinese page has the same blocks.
func TestWalkThroughCommands(t *testing.T) {
	const docs = "../../docs/"
	blocks := func(file string) (text string) {
		all, err := markdown.Blocks(docs + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			text += b.Lang + "\n" + b.Text
		}
		return text
	}
	if a, b := blocks("php-chat.md"), blocks("php-chat.zh-CN.md"); a != b {
		t.Errorf("the blocks of both pages differ:\n%s\n%s", a, b)
	}
	n := 0
	for _, file := range []string{"php-chat.md", "php-chat.zh-CN.md", "adoption.md", "adopt.md"} {
		text, err := os.ReadFile(docs + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\\\n", " "), -1) {
			verb, _, _ := strings.Cut(m[1], " ")
			if verb != "adopt" && verb != "key" && verb != "serve" {
				continue // a sentence about the program
			}
			n++
			parser, err := kong.New(&cli{}, kong.Exit(func(int) {}))
			if err != nil {
				t.Fatal(err)
			}
			// A sentence may name a verb without what has to follow it.
			if _, err := parser.Parse(strings.Fields(m[1])); err != nil && !strings.Contains(err.Error(), "expected one of") && !strings.Contains(err.Error(), "missing flags") {
				t.Errorf("%s: roomtide %s: %v", file, m[1], err)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
	for _, name := range []string{"schema.sql", "public", "public/new.php", "public/token.php"} {
		if _, err := os.Stat(filepath.Join("../../examples/php-chat", name)); err != nil || !strings.Contains(blocks("php-chat.md")+read(t, docs+"php-chat.md"), filepath.Base(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
