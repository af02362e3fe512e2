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
