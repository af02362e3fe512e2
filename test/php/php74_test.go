package php

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// The oldest PHP that the package takes is not in Debian any more. This is PHP 7.4.33
// itself, compiled to WebAssembly, which npm has.
const php74 = "@php-wasm/node-7-4@3.1.56"

// Every class of the package loads in PHP 7.4, what needs no server runs in it, and the
// example is PHP 7.4 too.
func TestPHP74(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	dir := t.TempDir()
	install := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, php74)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	files, err := filepath.Glob("../../clients/php/src/*.php")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../clients/php/src/*/*.php")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../examples/php/*/*.php")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../examples/php/*.php")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"php74.mjs", dir, "../../clients/php/src", "testdata"}, append(pages, more...)...)
	out, err := exec.CommandContext(ctx, "node", args...).CombinedOutput()
	if want := fmt.Sprintf("ok %d classes\n", len(files)+len(deeper)); err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}
