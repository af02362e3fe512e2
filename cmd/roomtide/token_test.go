package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Tokens are ended on a running node with an API key, and on a stopped one without.
func TestTokenRevoke(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	here := "--data-dir=" + dir
	n := serve(t, dir)
	ann, bob := must(t, "token", here, "--user=ann"), must(t, "token", here, "--user=bob")
	for _, token := range []string{ann, bob} {
		must(t, "send", "--url="+n.url, "--token="+token, "--room=r", "hello")
	}
	key, wrong := must(t, "key", "add", here, "--scope=users", "operator"), must(t, "key", "add", here, "--scope=send", "shop")

	if _, errs, code := roomtide(t, "", "token", "revoke", here, "--user=ann"); code != 1 || !strings.Contains(errs, "ROOMTIDE_KEY") {
		t.Errorf("beside a running node: %d %s", code, errs)
	}
	if _, errs, code := roomtide(t, "", "token", "revoke", "--url="+n.url, "--key="+wrong, "--user=ann"); code != 1 || !strings.Contains(errs, "scope users") {
		t.Errorf("with a key that may not: %d %s", code, errs)
	}
	if out := must(t, "token", "revoke", "--url="+n.url, "--key="+key, "--user=ann"); !strings.Contains(out, "tokens of ann are good if they were made from ") {
		t.Error(out)
	}
	if _, errs, code := roomtide(t, "", "send", "--url="+n.url, "--token="+ann, "--room=r", "again"); code != 1 || !strings.Contains(errs, "revoked") {
		t.Errorf("an ended token: %d %s", code, errs)
	}
	must(t, "send", "--url="+n.url, "--token="+bob, "--room=r", "again")
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}

	must(t, "token", "revoke", here, "--user=bob")
	n = serve(t, dir)
	for user, token := range map[string]string{"ann": ann, "bob": bob} {
		if _, errs, code := roomtide(t, "", "send", "--url="+n.url, "--token="+token, "--room=r", "again"); code != 1 || !strings.Contains(errs, "revoked") {
			t.Errorf("%s after a restart: %d %s", user, code, errs)
		}
	}
	if stderr, code := n.stop(); code != 0 {
		t.Fatal(stderr)
	}
}
