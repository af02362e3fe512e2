package php

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// The oldest PHP that the package takes is not in Debian any more. This is PHP 7.4.33
// itself, compiled to WebAssembly, which npm has.
const php74 = "@php-wasm/node-7-4@3.1.56"

// Every class of the package loads in PHP 7.4, what needs no server runs in it, and the
// example and the package for Laravel are PHP 7.4 too.
func TestPHP74(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	dir := t.TempDir()
	if err := testprocess.InstallNPM(ctx, dir, php74); err != nil {
		t.Fatal(err)
	}
	glob := func(patterns ...string) (files []string) {
		for _, pattern := range patterns {
			found, err := filepath.Glob("../../" + pattern)
			if err != nil || len(found) == 0 {
				t.Fatalf("%s: %v, %d files", pattern, err, len(found))
			}
			files = append(files, found...)
		}
		return files
	}
	classes := glob("clients/php/src/*.php", "clients/php/src/*/*.php")
	others := glob("examples/php/*.php", "examples/php/public/*.php", "clients/laravel/*/*.php")
	args := append([]string{"php74.mjs", dir, "../../clients/php/src", "testdata"}, others...)
	out, err := exec.CommandContext(ctx, "node", args...).CombinedOutput()
	if want := fmt.Sprintf("ok %d classes\n", len(classes)); err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}
