// Package testdisk has small file systems for tests, which can be full.
package testdisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inNamespace is set in a process with a user and mount namespace of its own.
const inNamespace = "ROOMTIDE_TEST_NAMESPACE"

// Small mounts a file system of so many MiB, on which any user may write. Without the right to mount it runs the test
// again in a process with a namespace of its own; then ok is false.
func Small(t *testing.T, mib int) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for servers that run as another user
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib))
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return dir, true
	}
	if os.Getenv(inNamespace) != "" || !errors.Is(err, syscall.EPERM) {
		t.Fatal("cannot mount a small disk, and this test needs one:", err)
	}
	again(t)
	return "", false
}

// again runs the test with its own flags in a namespace, in which it may mount.
func again(t *testing.T) {
	t.Helper()
	args := []string{"--user", "--map-current-user", "--keep-caps", "--mount", os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=0"}
	for _, arg := range os.Args[1:] {
		if !strings.HasPrefix(arg, "-test.") {
			args = append(args, arg)
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("in a namespace:\n%s", out)
	if err != nil {
		t.Fatal("cannot mount a small disk, or the test failed on it:", err)
	}
}

// Fill takes all free space of the file system with one file.
func Fill(t testing.TB, dir string) (file string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
	return f.Name()
}
