package chaos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/workload"
)

// stockClients fetches the client of Socket.IO from npm, as a site has it, and what the documentation
// has its users write.
func stockClients(t *testing.T) *workload.Stock {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", dir, "socket.io-client@4.8.4").CombinedOutput()
	if err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol", "socketio.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Coming back\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !found || !end {
		t.Fatal("the specification has no \"Coming back\"")
	}
	s := &workload.Stock{Packages: dir}
	if *stockKind >= 0 {
		s.Kind = stockKind
	}
	for _, part := range strings.Split(section, "```js\n")[1:] {
		code, _, _ := strings.Cut(part, "```\n")
		s.Code += code
	}
	return s
}
