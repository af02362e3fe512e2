package testdisk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A small disk takes nothing when it is full, and something when there is space again.
func TestSmall(t *testing.T) {
	dir, ok := Small(t, 1)
	if !ok {
		return // the process with a namespace of its own has run it
	}
	filler := Fill(t, dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Error(err)
	}
}
