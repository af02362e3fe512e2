package php

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// autoload loads the package as Composer does.
const autoload = `<?php
spl_autoload_register(function ($class) {
    if (strncmp($class, 'Roomtide\\', 9) === 0) {
        require __DIR__ . '/../../../clients/php/src/' . str_replace('\\', '/', substr($class, 9)) . '.php';
    }
});`

// The receiver of the example keeps each event once, of requests and of batches, and refuses
// what is not signed.
func TestWebhookReceiver(t *testing.T) {
	s := newSite(t, "--webhooks-allow", "127.0.0.0/8")
	m := &machine{t: t, dir: t.TempDir(), node: s.addr, pages: testprocess.FreeAddr(t)}
	for _, dir := range []string{"clients/php", "examples/php"} {
		if err := os.CopyFS(filepath.Join(m.dir, dir), os.DirFS("../../"+dir)); err != nil {
			t.Fatal(err)
		}
	}
	m.write("examples/php/vendor/autoload.php", autoload)
	m.serve("cd examples/php; exec php -S "+m.pages+" -t public", m.pages)
	url := "http://" + m.pages + "/webhook.php"
	m.write("examples/php/webhook.secret", s.verb("webhook", "add", url, "--kinds", "message.created,room.changed", "--batch", "10", "--insecure"))
	id := strings.Fields(strings.SplitN(s.verb("webhook", "list"), "\n", 2)[1])[0]
	if out := s.verb("webhook", "test", id); !strings.HasPrefix(out, "taken in ") {
		t.Fatal(out)
	}
	for _, text := range []string{"one", "two", "three"} {
		m.run(`curl -sf http://` + s.addr + `/v1/rooms/shop -X PUT -H 'Content-Type: application/json' -H 'Authorization: Bearer ` + s.key + `' -d '{"title":"` + text + `"}'`)
		m.run(`curl -sf http://` + s.addr + `/v1/rooms/shop/messages -H 'Content-Type: application/json' -H 'Authorization: Bearer ` + s.key + `' -d '{"user":"shop","message":"` + text + `"}'`)
	}
	const count = `php -r '$p = new PDO("sqlite:examples/php/shop.db"); echo $p->query("SELECT count(*), count(DISTINCT id), sum(type = \"message.created\" AND room = \"shop\") FROM events")->fetch(PDO::FETCH_NUM)[%] . " ";'`
	counts := func() string {
		var out string
		for _, i := range []string{"0", "2"} {
			out += m.output(strings.Replace(count, "%", i, 1))
		}
		return strings.TrimSpace(out)
	}
	const all = "6 3" // a test, two titles, and three messages
	m.await("every event is there", func() bool { return counts() == all })
	s.verb("webhook", "replay", id, "--from", "1h")
	m.await("all have come again", func() bool { return strings.Contains(s.verb("webhook", "list"), "  0    0     ok") })
	if got := counts(); got != all {
		t.Errorf("%s after a replay, want %s", got, all)
	}
	if out := m.output(`curl -s -o /dev/null -w '%{http_code}' -d '{"type":"x","id":"y","data":{}}' -H 'webhook-id: y' -H 'webhook-timestamp: 1' -H 'webhook-signature: v1,AAAA' ` + url); out != "400" {
		t.Errorf("what is not signed is answered %s", out)
	}
}

// verb runs the program for the node of the site.
func (s *site) verb(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), scriptTime)
	defer cancel()
	out, errs, err := program.Run(ctx, append(args, "--data-dir", s.dir)...)
	if err != nil {
		s.t.Fatalf("roomtide %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	return strings.TrimSpace(out)
}

func (m *machine) write(file, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// output is what a command prints.
func (m *machine) output(text string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), scriptTime)
	defer cancel()
	out, err := m.command(ctx, text).Output()
	if err != nil {
		m.t.Fatalf("%s: %v", text, err)
	}
	return string(out)
}

// await asks until it is so.
func (m *machine) await(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(scriptTime); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatal("not in time: ", what)
		}
	}
}
