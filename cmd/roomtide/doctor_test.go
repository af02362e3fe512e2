package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Warnings do not fail, failures do; and what is wrong with the file of settings is
// a finding as any other.
func TestDoctor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	address := strings.TrimSuffix(strings.TrimPrefix(n.url, "http://"), "/")
	out := must(t, "doctor", "--data-dir="+dir, "--listen="+address, "--url="+n.url)
	for _, want := range []string{"ok    running ", "ok    websocket ", "ok    shard-0.db ", "\nFiles\n", "\nPublic address\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("printed no %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colors where there is no terminal")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	type report struct {
		Level    string
		Findings []struct{ Check, Level, Help string }
	}
	var r report
	out, errs, code := roomtide(t, "", "doctor", "--json", "--data-dir="+dir, "--listen="+address)
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || errs != "" || r.Level != "fail" {
		t.Errorf("exit code %d: %s%s (%v)", code, out, errs, err)
	}
	found := false
	for _, f := range r.Findings {
		found = found || f.Check == "data dir" && f.Level == "fail" && f.Help == "chmod 700 "+dir
	}
	if !found {
		t.Errorf("nothing about the data dir: %s", out)
	}
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "roomtide.toml"), []byte("colour = 'red'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := roomtide(t, "", "doctor", "--data-dir="+dir); code != 1 || !strings.Contains(out, "there is no setting colour") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// A start says in the log which files others can read.
func TestStartWarnsOfOpenFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := serve(t, dir)
	if stderr, code := n.stop(); code != 0 || strings.Contains(stderr, "UNSAFE") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	secret := filepath.Join(t.TempDir(), "shop.key")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("k"), 40), 0o644); err != nil {
		t.Fatal(err)
	}
	settings := "[[auth.keys]]\nalg = 'HS256'\nsecret_file = '" + secret + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "roomtide.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o777, filepath.Join(dir, "token.key"): 0o644, secret: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	stderr, code := serve(t, dir).stop()
	if code != 0 {
		t.Fatal(stderr)
	}
	for _, want := range []string{
		"UNSAFE: the data dir " + dir + " can be written by everyone on this machine (mode 0777): chmod 700 " + dir,
		"UNSAFE: token.key " + dir + "/token.key can be read by everyone on this machine (mode 0644): chmod 600 ",
		"UNSAFE: auth.keys secret_file " + secret + " can be read by everyone on this machine (mode 0644): chmod 640 ",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the log has no %q:\n%s", want, stderr)
		}
	}
}

func TestTerminal(t *testing.T) {
	if color, columns := terminal(new(bytes.Buffer), nil); color || columns != 100 {
		t.Errorf("a buffer has %d columns, color %v", columns, color)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if color, _ := terminal(f, nil); color {
		t.Error("a file shows colors")
	}
}

// "roomtide doctor" does not outlive an interruption.
func TestDoctorIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan int, 1)
	go func() {
		done <- run(&app{ctx: ctx, stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}, []string{"doctor", "--data-dir=" + t.TempDir(), "--url=http://127.0.0.1:1"})
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}
