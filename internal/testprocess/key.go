package testprocess

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tokenKey is the key for tokens of all nodes of clusters.
var tokenKey = strings.Repeat("5eed", 16) + "\n"

// shareKey gives a node of a cluster the key for tokens that all others have, unless there
// is one: nodes with different ones do not start beside each other.
func shareKey(t testing.TB, dir string, env []string) {
	t.Helper()
	shared := func(kv string) bool {
		return strings.HasPrefix(kv, "ROOMTIDE_NATS_URL=") || strings.HasPrefix(kv, "ROOMTIDE_NATS_ROUTES=")
	}
	if !slices.ContainsFunc(env, shared) {
		return
	}
	path := filepath.Join(dir, "token.key")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(path, []byte(tokenKey), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
}
