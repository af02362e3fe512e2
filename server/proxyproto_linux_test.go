package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/netwrite"
	"github.com/roomtide/roomtide/websocket"
)

const proxyLine = "PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n"

// proxyBlock is version 2 of the protocol: signature, command, family, length, addresses.
var proxyBlock = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\xdc\x04\x01\xbb"

// A proxy that speaks the PROXY protocol gets an answer, and the log says once what to
// do. What only resembles it is a request as any other.
func TestProxyProtocolIsRefusedWithARemedy(t *testing.T) {
	w := running(t, func(*config.Config) {})
	ask := func(text string) string {
		c, err := w.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err.Error()
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.Status + " " + string(body)
	}
	const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	for _, begin := range []string{proxyLine, proxyBlock} {
		if got := ask(begin + request); got != "400 Bad Request "+proxyAnswer {
			t.Errorf("%q is answered %q", begin, got)
		}
	}
	if got := ask(request); !strings.HasPrefix(got, "200 ") {
		t.Errorf("a request is answered %q", got)
	}
	if got := ask("PROXYING / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); strings.Contains(got, "PROXY protocol") {
		t.Errorf("a method that begins like it is answered %q", got)
	}
	said := 0
	for len(w.log.lines) > 0 {
		if line := <-w.log.lines; strings.Contains(line, "PROXY protocol") {
			said++
			for _, want := range []string{"level=WARN", "proxy=127.0.0.1:", "send-proxy", "proxy_protocol on", "trusted_proxies"} {
				if !strings.Contains(line, want) {
					t.Errorf("the log says %q, without %s", line, want)
				}
			}
		}
	}
	if said != 1 {
		t.Errorf("the log says it %d times", said)
	}
}

// greetedServer is a server behind a door that looks at first bytes.
func greetedServer(t *testing.T, out io.Writer, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(ln, doorConfig{Max: 100, PerSecond: 1000, Others: func() int { return 0 }, Greeting: newGreeting(slog.New(slog.NewTextHandler(out, nil)))})
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener, srv.Config.ConnContext = d, withConn
	t.Cleanup(srv.Close)
	return srv
}

// Under TLS the first bytes are those before the handshake.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	srv := greetedServer(t, lockedWriter{&mu, &out}, func(http.ResponseWriter, *http.Request) {})
	srv.StartTLS()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, proxyBlock); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c); !strings.Contains(string(answer), "does not speak the PROXY protocol") {
		t.Errorf("answered %q", answer)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(out.String(), "trusted_proxies") {
		t.Errorf("the log says %q", out.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// What takes a connection over from HTTP has the TCP connection itself, on which the
// fast ways of reading and writing work; and so has what sets its options.
func TestConnectionsAreTheirOwnAfterTheFirstBytes(t *testing.T) {
	plain := make(chan bool, 1)
	timeouts := make(chan int, 2)
	srv := greetedServer(t, io.Discard, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			ws, err := websocket.Upgrade(w, r, websocket.UpgradeOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			_, ok := ws.NetConn().(*net.TCPConn)
			plain <- ok
			ws.NetConn().Close()
			return
		}
		noticeLoss(r)
		timeouts <- userTimeout(t, r.Context().Value(connKey{}).(net.Conn))
	})
	srv.Start()
	ws, err := new(websocket.Dialer).Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.NetConn().Close()
	if !<-plain {
		t.Error("the WebSocket has a connection that is looked at")
	}
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ms := <-timeouts; ms != int(lossTime.Milliseconds()) {
		t.Errorf("TCP_USER_TIMEOUT is %d ms", ms)
	}

	secure := greetedServer(t, io.Discard, func(_ http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(connKey{}).(net.Conn)
		netwrite.SetUserTimeout(c, lossTime)
		timeouts <- userTimeout(t, c.(*tls.Conn).NetConn())
	})
	secure.StartTLS()
	resp, err = secure.Client().Get(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ms := <-timeouts; ms != int(lossTime.Milliseconds()) {
		t.Errorf("under TLS it is %d ms", ms)
	}
}

func userTimeout(t *testing.T, c net.Conn) (ms int) {
	raw, err := underlying(c).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	if err := raw.Control(func(fd uintptr) {
		ms, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) // 0 when it fails
	}); err != nil {
		t.Error(err)
	}
	return ms
}
