package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/fcm"
	"github.com/roomtide/roomtide/push/standin"
)

// What the stand-in prints and writes is enough to push through it, and to have it fail.
func TestStandIn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	errs, stderr := io.Pipe()
	dir := filepath.Join(t.TempDir(), "stand-in")
	code := make(chan int, 1)
	go func() {
		code <- run(&app{ctx: ctx, stdin: strings.NewReader(""), stdout: stdout, stderr: stderr}, []string{"push", "stand-in", "--listen", "127.0.0.1:0", "--dir", dir})
		stdout.Close()
		stderr.Close()
	}()
	defer func() {
		stop()
		if c := <-code; c != 0 {
			t.Errorf("exit code %d", c)
		}
	}()
	said := bufio.NewReader(errs)
	line := func() string {
		t.Helper()
		text, err := said.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	url := regexp.MustCompile(`https://\S+`).FindString(line())
	for !strings.Contains(line(), "service-account.json") {
	}
	_, target, _ := strings.Cut(line(), "target ")
	go io.Copy(io.Discard, said) // it ends with the verb

	file, err := os.ReadFile(filepath.Join(dir, "service-account.json"))
	if err != nil {
		t.Fatal(err)
	}
	account, err := fcm.ParseAccount(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if file, err = os.ReadFile(filepath.Join(dir, "certificate.pem")); err != nil || !roots.AppendCertsFromPEM(file) {
		t.Fatal(err)
	}
	rt := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	p, err := fcm.New(fcm.Config{Account: account, URL: url, Transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	address, err := p.Check([]byte(target))
	if err != nil {
		t.Fatal(err)
	}
	demand, err := json.Marshal(standin.Answer{Service: standin.FCM, Status: 429, RetryAfter: "9"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: rt}).Post(url+"/standin/answers", "application/json", bytes.NewReader(demand))
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	n := &push.Notification{ID: "1", Text: "hello", Expires: time.Now().Add(time.Minute)}
	if o := p.Send(ctx, address, n); o.Action != push.Pause || o.After != 9*time.Second {
		t.Fatalf("%+v", o)
	}
	sent := make(chan push.Outcome, 1)
	go func() { sent <- p.Send(ctx, address, n) }()
	got, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(got, `{"service":"fcm","target":"standin:`) || !strings.Contains(got, "hello") {
		t.Errorf("%s, %v", got, err)
	}
	if o := <-sent; o.Action != push.Delivered {
		t.Errorf("%+v", o)
	}
}

// An operator tries a device, and sees, sends again and drops what was given up.
func TestPushVerbs(t *testing.T) {
	services, err := standin.Open(standin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	dir := t.TempDir()
	here := "--data-dir=" + dir
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	n := serve(t, dir, "--push-fcm-account-file="+file("account.json", services.Account()), "--push-fcm-url="+services.URL(),
		"--push-ca-file="+file("ca.pem", services.Certificate()))
	key := must(t, "key", "add", "host", "--scope=*", here)
	call := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, n.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within a minute: %s; refused: %v", what, services.Refused())
			}
		}
	}
	if _, errs, code := roomtide(t, "", "push", "test", "--user=ann", here); code == 0 || !strings.Contains(errs, "ann has no device") {
		t.Errorf("without a device: exit code %d: %s", code, errs)
	}
	address, _ := services.NewFCM()
	call("PUT", "v1/users/ann/devices/phone", `{"provider":"fcm","address":`+address+`}`)
	if out := must(t, "push", "test", "--user=ann", "--title=Trial", here); !strings.Contains(out, "phone of ann") || !strings.Contains(out, "delivered") {
		t.Errorf("a trial says %s", out)
	}
	refused := standin.Answer{Service: standin.FCM, Status: 400, Reason: "INVALID_ARGUMENT"}
	services.Script(refused)
	if out, _, code := roomtide(t, "", "push", "test", "--user=ann", here); code == 0 || !strings.Contains(out, "INVALID_ARGUMENT") || !strings.Contains(out, "meaning") {
		t.Errorf("a trial that is refused: exit code %d: %s", code, out)
	}

	giveUp := func(text string) {
		t.Helper()
		services.Script(refused)
		call("POST", "v1/users/ann/notifications", `{"text":"`+text+`"}`)
		await("it is given up", func() bool { return strings.Contains(must(t, "push", "dead", here), "INVALID_ARGUMENT") })
	}
	giveUp("one")
	if out := must(t, "push", "dead", "--user=bob", here); strings.Contains(out, "ann") {
		t.Errorf("of bob was given up: %s", out)
	}
	if out := must(t, "push", "retry", "--user=ann", here); !strings.HasPrefix(out, "1 ") {
		t.Errorf("retry: %s", out)
	}
	await("it is sent after all", func() bool {
		all := services.Notifications()
		return len(all) == 2 && strings.Contains(all[1].Payload, "one")
	})
	giveUp("two")
	if out := must(t, "push", "drop", here); !strings.HasPrefix(out, "1 ") {
		t.Errorf("drop: %s", out)
	}
	if out := must(t, "push", "dead", here); strings.Contains(out, "ann") {
		t.Errorf("after it was dropped: %s", out)
	}
}
