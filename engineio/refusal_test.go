package engineio_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// sends writes a whole request, as clients do that read no answer before, and
// returns the answer.
func (w *world) sends(method, url, header, body string) answer {
	w.Helper()
	c, err := w.dial(w.Context(), "tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if tcp, is := c.(*net.TCPConn); is {
		tcp.SetWriteBuffer(64 << 10) // less than the body: it needs a peer that reads
	}
	path := strings.TrimPrefix(url, "http://"+w.addr)
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", method, path, header, body); err != nil {
		return answer{err: err}
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b), resp.Header, err}
}

// A client whose body is refused gets the answer, however the body is announced
// and though it is still being sent.
func TestRefusedBodiesAreAnswered(t *testing.T) {
	const (
		limit    = 1 << 20
		tooLarge = ""
	)
	overTCP(t, engineio.Options{MaxPayload: limit}, func(t *testing.T, w *world) {
		body := strings.Repeat("x", limit+200<<10)
		length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
		chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		c := w.open(4)
		stranger := &client{world: w, version: 4, sid: "unknown"}
		for range 50 {
			w.sends("POST", c.url("polling"), length, body).want(t, 413, tooLarge)
			w.sends("POST", c.url("polling"), "Transfer-Encoding: chunked\r\n", chunked).want(t, 413, tooLarge)
			w.sends("POST", stranger.url("polling"), length, body).want(t, 400, unknownSession)
		}
		c.post("4hello").want(t, 200, "ok") // the session has not suffered
	})
}

// A client that announces a body and keeps it back is not waited for, nor one
// that asks first, nor one that has far too much.
func TestDrainingEnds(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"Content-Length: 1001\r\n":                            time.Second,
		"Content-Length: 1001\r\nExpect: 100-continue\r\n":    0,
		"Content-Length: 100000000\r\n":                       0,
		"Transfer-Encoding: chunked\r\nContent-Type: a/b\r\n": pingInterval + pingTimeout, // it may be small
	} {
		o := options()
		o.MaxPayload = 1000
		inBubble(t, o, func(t *testing.T, w *world) {
			c := w.open(4)
			begin := time.Now()
			a := w.sends("POST", c.url("polling"), header, "")
			if a.status != 413 && want != pingInterval+pingTimeout || a.err != nil {
				t.Errorf("%q: %v", header, a)
			}
			if took := time.Since(begin); took != want {
				t.Errorf("%q: answered after %v, want %v", header, took, want)
			}
		})
	}
}
