package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/httpapi"
)

// impatient serves a node's routes on a listener of its own, with little time for
// bodies.
func impatient(t *testing.T, s *Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := s.newHTTP(s.http.Handler.(*bounds).next, 200*time.Millisecond)
	done := make(chan error)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

// paths are those of the API, of the page and of the transports, also where nothing is.
func paths(t *testing.T) []string {
	var spec struct{ Paths map[string]any }
	if err := json.Unmarshal(httpapi.Spec(), &spec); err != nil {
		t.Fatal(err)
	}
	out := []string{
		"/", "/nothing", "/static/roomtide.js", "/ws", "/ws/", "/v1", "/v1/nothing", "/v1//rooms", "/v1/rooms/", "/healthz/", "*",
		"/socket.io/", "/socket.io", "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=3&transport=polling",
		"/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=4&transport=polling&sid=none", "/socket.io/?EIO=9&transport=x",
	}
	for p := range spec.Paths {
		out = append(out, strings.NewReplacer("{room}", "r", "{seq}", "1", "{user}", "u", "{emoji}", "x").Replace(p))
	}
	return out
}

// A request that announces a body and sends none, or a part, ends with its connection,
// whatever it asks for and whether that is refused or not.
func TestNoRequestOutlivesItsBody(t *testing.T) {
	s := open(t, settings(t))
	addr := impatient(t, s)
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
	slots := make(chan struct{}, 64)
	var all sync.WaitGroup
	for _, path := range paths(t) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
			for _, fields := range []string{"Roomtide-User: ann\r\nContent-Type: application/json\r\n", "Origin: http://foreign.example\r\n", upgrade, ""} {
				for _, body := range []string{"Content-Length: 10\r\n\r\n", "Content-Length: 100000000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"} {
					slots <- struct{}{}
					all.Go(func() {
						defer func() { <-slots }()
						request := method + " " + path + " HTTP/1.1\r\nHost: " + addr + "\r\n" + fields + body
						if !ends(t, addr, request) {
							t.Errorf("the connection goes on after %q", request)
						}
					})
				}
			}
		}
	}
	all.Wait()
}

// ends sends a request and reports whether the server ends the connection, far within
// the time that it would be open without a deadline.
func ends(t *testing.T, addr, request string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return true
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(14 * time.Second)); err != nil {
		t.Error(err)
	}
	_, err = io.Copy(io.Discard, c)
	return !os.IsTimeout(err)
}

// deadlines is an answer that remembers which deadlines were set for the body.
type deadlines struct {
	*httptest.ResponseRecorder
	set []bool // or taken away
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, !t.IsZero())
	return nil
}

// The deadline of a body goes when the body was read, since it would end the request,
// and stays when it was not. A request without a body has none.
func TestDeadlineGoesWithTheBody(t *testing.T) {
	for name, tt := range map[string]struct {
		method, body string
		read         bool
		want         []bool
	}{
		"none":            {"GET", "", true, nil},
		"read":            {"POST", "hello", true, []bool{true, false}},
		"not read":        {"POST", "hello", false, []bool{true}},
		"without meaning": {"GET", "hello", false, []bool{true, false}},
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body))
		boundBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tt.read {
				if _, err := io.ReadAll(r.Body); err != nil {
					t.Error(err)
				}
			}
		}), time.Second).ServeHTTP(w, r)
		if !slices.Equal(w.set, tt.want) || w.Code != 200 {
			t.Errorf("%s: %v, status %d", name, w.set, w.Code)
		}
	}
}

// A body that has no meaning is dropped before the request is served, so that the server
// sees when the client of a long request goes away.
func TestClientWithBodyGoesAway(t *testing.T) {
	ended := make(chan struct{})
	srv := httptest.NewServer(boundBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	}), 10*time.Second))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-ended
}
