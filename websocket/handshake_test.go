package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAccept(t *testing.T) {
	// The example of RFC 6455 section 1.3.
	if got := Accept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

// echo answers each message with itself and each goodbye with its code, and
// counts the connections it serves.
type echo struct {
	opts UpgradeOptions
	wg   sync.WaitGroup
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.wg.Add(1) // before the hijack, so that closing the server waits for this
	c, err := Upgrade(w, r, e.opts)
	if err != nil {
		e.wg.Done()
		return
	}
	go func() {
		defer e.wg.Done()
		defer c.Close()
		for {
			op, p, err := c.ReadMessage(1 << 20)
			var bye *CloseError
			var bad *Error
			switch {
			case errors.As(err, &bye):
				c.WriteClose(bye.Code, bye.Reason)
				return
			case errors.As(err, &bad):
				c.WriteClose(bad.Code, bad.Text)
				return
			case err != nil:
				return
			}
			if c.WriteMessage(op, p) != nil {
				return
			}
		}
	}()
}

func serve(t *testing.T, opts UpgradeOptions) (*httptest.Server, *echo) {
	e := &echo{opts: opts}
	srv := httptest.NewServer(e)
	t.Cleanup(func() { srv.Close(); e.wg.Wait() })
	return srv, e
}

func wsURL(srv *httptest.Server) string { return "ws" + strings.TrimPrefix(srv.URL, "http") }

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestUpgradeRefuses(t *testing.T) {
	srv, _ := serve(t, UpgradeOptions{})
	for _, tt := range []struct {
		name   string
		edit   func(*http.Request)
		status int
	}{
		{"POST", func(r *http.Request) { r.Method = "POST" }, 405},
		{"no Upgrade", func(r *http.Request) { r.Header.Del("Upgrade") }, 426},
		{"another Upgrade", func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, 426},
		{"Upgrade that only looks like it", func(r *http.Request) { r.Header.Set("Upgrade", "webſocket") }, 426},
		{"no Connection", func(r *http.Request) { r.Header.Set("Connection", "keep-alive") }, 426},
		{"version 8", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, 426},
		{"two versions", func(r *http.Request) { r.Header.Add("Sec-WebSocket-Version", "13") }, 426},
		{"no version", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 426},
		{"no key", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400},
		{"short key", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "AAAA") }, 400},
		{"key not base64", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!!!") }, 400},
		{"two keys", func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") }, 400},
		{"a body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")); r.ContentLength = 1 }, 400},
	} {
		r, _ := http.NewRequestWithContext(testContext(t), "GET", srv.URL, nil)
		r.Header.Set("Connection", "keep-alive, Upgrade")
		r.Header.Set("Upgrade", "WebSocket")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		tt.edit(r)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
		if tt.status == 426 && (resp.Header.Get("Sec-WebSocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket") {
			t.Errorf("%s: 426 does not say what to upgrade to: %v", tt.name, resp.Header)
		}
	}
}

func TestUpgradeNeedsHTTP11(t *testing.T) {
	srv, _ := serve(t, UpgradeOptions{})
	got := rawRequest(t, srv, strings.Replace(request(""), "HTTP/1.1", "HTTP/1.0", 1))
	if got != 400 {
		t.Errorf("status %d, want 400", got)
	}
}

func request(more string) string {
	return "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + "\r\n"
}

// rawRequest returns the status the server answers with.
func rawRequest(t *testing.T, srv *httptest.Server, req string) int {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(nc, req)
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// Many headers and very long ones end in an answer, at once.
func TestHeaderFlood(t *testing.T) {
	srv, _ := serve(t, UpgradeOptions{Protocols: []string{"chat"}})
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "X-%d: y\r\nConnection: a, b%d\r\n", i, i)
	}
	start := time.Now()
	for name, tt := range map[string]struct {
		more string
		want int
	}{
		"many":       {many.String(), 101},
		"protocol":   {"Sec-WebSocket-Protocol: " + strings.Repeat("a,", 32<<10) + "\r\n", 101},
		"extensions": {"Sec-WebSocket-Extensions: " + strings.Repeat("x; y=\"\\\",", 8<<10) + "\r\n", 101},
		"spaces":     {"Sec-WebSocket-Protocol: a" + strings.Repeat(" ", 64<<10) + "b\r\n", 101},
		"key":        {"Sec-WebSocket-Key: " + strings.Repeat("A", 64<<10) + "\r\n", 400},
	} {
		if got := rawRequest(t, srv, request(tt.more)); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("five handshakes took %v", d)
	}
}

func TestEcho(t *testing.T) {
	srv, _ := serve(t, UpgradeOptions{Protocols: []string{"two", "one"}, Header: http.Header{"X-Hello": {"there"}}})
	d := Dialer{Protocols: []string{"one", "two", "three"}}
	c, err := d.Dial(testContext(t), wsURL(srv)+"/path?q=1", http.Header{"X-Mine": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Protocol() != "two" {
		t.Errorf("subprotocol %q, want the server's first", c.Protocol())
	}
	for _, n := range []int{0, 1, 125, 126, 1023, 1024, 1025, 65535, 65536, 1 << 20} {
		want := bytes.Repeat([]byte("a\xff"), n/2+1)[:n]
		sent := bytes.Clone(want)
		if err := c.WriteMessage(Binary, sent); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sent, want) {
			t.Fatal("WriteMessage changed its payload")
		}
		op, p, err := c.ReadMessage(1 << 20)
		if err != nil || op != Binary || !bytes.Equal(p, want) {
			t.Fatalf("%d bytes came back as %d, op %d, %v", n, len(p), op, err)
		}
	}
	c.WriteClose(4321, "enough")
	var bye *CloseError
	if _, _, err := c.ReadMessage(10); !errors.As(err, &bye) || bye.Code != 4321 || bye.Reason != "enough" {
		t.Errorf("goodbye came back as %v", err)
	}
}

// Pings are answered by default, on both sides, and writers do not mix frames.
func TestPingAndConcurrentWriters(t *testing.T) {
	srv, _ := serve(t, UpgradeOptions{})
	c, err := Dial(testContext(t), wsURL(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pongs := 0
	c.OnPong = func() { pongs++ }
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				c.WriteMessage(Ping, []byte("are you there"))
				c.WriteMessage(Text, bytes.Repeat([]byte{byte('a' + w)}, 100*w+1))
			}
		})
	}
	for range writers * each {
		_, p, err := c.ReadMessage(2000)
		if err != nil || len(p) != 100*int(p[0]-'a')+1 || len(bytes.Trim(p, string(p[:1]))) != 0 {
			t.Fatalf("mixed message %q, %v", p, err)
		}
	}
	wg.Wait()
	if pongs != writers*each {
		t.Errorf("%d pongs for %d pings", pongs, writers*each)
	}
	if c.WriteMessage(Ping, make([]byte, 126)) == nil || c.WriteMessage(closing, nil) == nil {
		t.Error("frames that break the rules were sent")
	}
}

func TestTLS(t *testing.T) {
	e := &echo{}
	srv := httptest.NewTLSServer(e)
	defer func() { srv.Close(); e.wg.Wait() }()
	url := "wss" + strings.TrimPrefix(srv.URL, "https")
	if c, err := Dial(testContext(t), url, nil); err == nil {
		c.Close()
		t.Error("an unknown certificate was accepted")
	}
	d := Dialer{TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig}
	c, err := d.Dial(testContext(t), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(Text, []byte("secret"))
	if _, p, err := c.ReadMessage(10); err != nil || string(p) != "secret" {
		t.Errorf("%q, %v", p, err)
	}
	if _, ok := c.NetConn().(*tls.Conn); !ok {
		t.Errorf("NetConn is %T", c.NetConn())
	}
}

// answerWith is a server that answers every connection with one text.
func answerWith(t *testing.T, text func(key string) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
				io.WriteString(nc, text(r.Header.Get("Sec-WebSocket-Key")))
			}
			nc.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "ws://" + l.Addr().String()
}

func TestDialRefuses(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	for _, tt := range []struct {
		name string
		text func(key string) string
	}{
		{"wrong Accept", func(string) string { return ok + "Sec-WebSocket-Accept: x\r\n\r\n" }},
		{"no Upgrade", func(key string) string {
			return "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + Accept(key) + "\r\n\r\n"
		}},
		{"an extension", func(key string) string {
			return ok + "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: " + Accept(key) + "\r\n\r\n"
		}},
		{"a subprotocol", func(key string) string {
			return ok + "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + Accept(key) + "\r\n\r\n"
		}},
		{"not HTTP", func(string) string { return "hello\r\n\r\n" }},
		{"nothing", func(string) string { return "" }},
		{"no end", func(string) string { return ok + strings.Repeat("X: y\r\n", 20<<10) }},
	} {
		c, err := Dial(testContext(t), answerWith(t, tt.text), nil)
		if err == nil {
			c.Close()
			t.Errorf("%s: accepted", tt.name)
		}
	}
	_, err := Dial(testContext(t), answerWith(t, func(string) string {
		return "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
	}), nil)
	var he *HandshakeError
	if !errors.As(err, &he) || he.Status != 503 || he.Header.Get("Retry-After") != "7" {
		t.Errorf("503 became %v", err)
	}
	for _, url := range []string{"http://127.0.0.1/", "ws://", "::", "127.0.0.1:80"} {
		if _, err := Dial(testContext(t), url, nil); err == nil {
			t.Errorf("%q was dialled", url)
		}
	}
}

// Cancelling the context ends a handshake the server never answers.
func TestDialCancel(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, _ := l.Accept()
		accepted <- nc
		cancel()
	}()
	if _, err := Dial(ctx, "ws://"+l.Addr().String(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	(<-accepted).Close()
}

// A reset at any byte of the handshake or of a frame ends that connection and
// nothing else.
func TestResetAnywhere(t *testing.T) {
	srv, e := serve(t, UpgradeOptions{})
	bytes := append([]byte(request("")), frame(0x81, "hello")...)
	for cut := range len(bytes) {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(bytes[:cut])
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	c, err := Dial(testContext(t), wsURL(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.WriteMessage(Text, []byte("alive"))
	if _, p, err := c.ReadMessage(10); err != nil || string(p) != "alive" {
		t.Errorf("%q, %v", p, err)
	}
	c.Close()
	srv.Close()
	e.wg.Wait() // every reader has ended
}
