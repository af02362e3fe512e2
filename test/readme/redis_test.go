package readme

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testredis"
	"github.com/roomtide/roomtide/presence"
	"github.com/roomtide/roomtide/presence/redispresence"
)

// The page of docs/operations.md runs as printed, but for the address of Redis, with
// the rights of the user that the document makes.
func TestPHPReadsRedis(t *testing.T) {
	blocks, err := markdown.Blocks(root + "/docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var page string
	var rule []string
	for _, b := range blocks {
		if b.Lang == "php" {
			page += b.Text
		}
		if words, ok := strings.CutPrefix(b.Text, "redis-cli ACL "); ok {
			rule = strings.Fields("ACL " + strings.ReplaceAll(words, "'", ""))
		}
	}
	const address = "'127.0.0.1', 6379"
	if !strings.Contains(page, address) || rule == nil {
		t.Fatal("docs/operations.md has no page that connects to ", address, ", or no rule")
	}
	s := testredis.Start(t)
	s.Do(s.Client(), rule...)
	d, err := redispresence.New(redispresence.Config{URL: "redis://roomtide:password@" + s.Addr, Node: "a"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	err = d.Apply(t.Context(), []presence.Change{{Room: "lobby", User: "bob", On: true}, {Room: "lobby", User: "ann", On: true}})
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "page.php")
	if err := os.WriteFile(file, []byte(strings.Replace(page, address, "'"+host+"', "+port, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "php", file).CombinedOutput()
	if want := "2 online: ann, bob\nann is online\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}
