package httpapi

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A large answer counts as held until its reader has it, a reader that takes too
// little loses the connection, and a node that holds too much refuses more.
func TestSlowReadersOfAnswers(t *testing.T) {
	n := newNode(t, nil)
	n.api.pieceTime = 300 * time.Millisecond
	n.want(201, "PUT", "/v1/rooms/r", `{"open":true}`, "as ann")
	big := "x" + strings.Repeat(`\u0001`, 3999)
	for range 12 {
		n.want(201, "POST", "/v1/rooms/r/messages", `{"message":"`+big+`"}`, "as ann")
	}
	whole := n.do("GET", "/v1/rooms/r/messages?limit=100", nil, "as ann")
	if whole.status != 200 || len(whole.raw) < 200<<10 || len(whole.raw) > 400<<10 {
		t.Fatalf("%d, %d bytes", whole.status, len(whole.raw))
	}

	// Several answers on one connection, none of which is read.
	addr := strings.TrimPrefix(n.url, "http://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4 << 10)
	for range 60 {
		fmt.Fprintf(c, "GET /v1/rooms/r/messages?limit=100 HTTP/1.1\r\nHost: %s\r\nRoomtide-User: ann\r\n\r\n", addr)
	}
	deadline := time.Now().Add(20 * time.Second)
	for { // the server gives up; what it has written is all there is
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Write([]byte("\r\n")); err != nil && !strings.Contains(err.Error(), "timeout") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the connection is open")
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.Copy(io.Discard, c)

	const all = 64 << 20 // more than may be held
	if n.hub.Hold(all) {
		t.Fatal("too much is held")
	}
	for end := time.Now().Add(10 * time.Second); !n.hub.Hold(32<<20 - 100<<10); runtime.Gosched() { // the handler ends when it hears of it
		if time.Now().After(end) {
			t.Fatal("what was held for the slow reader is held still")
		}
	}
	g := n.do("GET", "/v1/rooms/r/messages?limit=100", nil, "as ann")
	if g.status != 503 || g.code() != "busy" || g.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", g.status, g.raw)
	}
	n.want(200, "GET", "/v1/rooms/r/messages?limit=1", nil, "as ann")
	n.hub.Release(32<<20 - 100<<10)
	n.want(200, "GET", "/v1/rooms/r/messages?limit=100", nil, "as ann")
}
