//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testdisk"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A disk that is full before the backup, or the restore, is whole leaves nothing that
// looks like one.
func TestBackupOntoAFullDisk(t *testing.T) {
	small, ok := testdisk.Small(t, 12)
	if !ok {
		return // the process with a namespace of its own has run it
	}
	base := t.TempDir()
	data, whole := filepath.Join(base, "data"), filepath.Join(base, "whole")
	n := program.Start(t, data, testprocess.FreeAddr(t))
	n.Ready()
	shop := newBackEnd(t, n, data)
	for range 50 {
		shop.post("room1", "", strings.Repeat("x", 4000))
	}
	run := func(args ...string) (errs string, err error) {
		_, errs, err = program.Run(testContext(t), args...)
		return errs, err
	}
	if errs, err := run("backup", whole, "--data-dir", data); err != nil {
		t.Fatal(err, errs)
	}
	filler := testdisk.Fill(t, small)
	if err := os.Truncate(filler, 12<<20-300<<10); err != nil { // some files fit, not all
		t.Fatal(err)
	}
	tries := [][]string{
		{"backup", filepath.Join(small, "b"), "--data-dir", data},
		{"backup", filepath.Join(small, "b.tar"), "--data-dir", data},
		{"restore", whole, "--data-dir", filepath.Join(small, "restored")},
	}
	for _, args := range tries {
		errs, err := run(args...)
		if err == nil || !strings.Contains(errs, "there is not enough space") {
			t.Errorf("%v: %v, %s", args, err, errs)
		}
		if left, err := os.ReadDir(small); err != nil || len(left) != 1 {
			t.Errorf("%v: left behind: %v %v", args, left, err)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for _, args := range tries {
		if errs, err := run(args...); err != nil {
			t.Errorf("%v: there is space, and %v, %s", args, err, errs)
		}
	}
	if code := n.Terminate(10 * time.Second); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}
