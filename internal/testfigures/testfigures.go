// Package testfigures is what tests that measure share: with the flag -figures they measure
// for long and print the tables of docs/benchmarks.md, otherwise they run the same code for
// a moment and print nothing. -profiles takes CPU profiles meanwhile.
package testfigures

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Wanted is the flag -figures.
var Wanted = flag.Bool("figures", false, "measure for long, and print tables")

var profiles = flag.String("profiles", "", "a directory for CPU profiles of the nodes under load")

// Head prints the first two lines of a table.
func Head(cells ...any) {
	Row(cells...)
	lines := make([]any, len(cells))
	for i := range lines {
		lines[i] = "---"
	}
	Row(lines...)
}

// Row prints a line of a table.
func Row(cells ...any) {
	if !*Wanted {
		return
	}
	for _, c := range cells {
		fmt.Fprintf(os.Stdout, "| %v ", c)
	}
	fmt.Fprintln(os.Stdout, "|")
}

// Profile takes a CPU profile of a node, if -profiles says where to, and returns a function
// that waits for it. pprof is the URL of the node's profiles, with a slash at its end.
func Profile(t testing.TB, pprof, name string, seconds int) (wait func()) {
	t.Helper()
	if *profiles == "" {
		return func() {}
	}
	done := make(chan error, 1)
	go func() {
		done <- fetch(fmt.Sprintf("%sprofile?seconds=%d", pprof, seconds), filepath.Join(*profiles, name+".pprof"))
	}()
	return func() {
		if err := <-done; err != nil {
			t.Errorf("the profile %s: %v", name, err)
		}
	}
}

func fetch(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Close()
}
