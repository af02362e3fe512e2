package proxies

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/doctor"
	"github.com/roomtide/roomtide/internal/clientaddr"
	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// Set by TestMain, once.
var (
	roomtide *testprocess.Program
	packages string // the directory with node_modules
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests behind proxies cannot run:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if packages, err = os.MkdirTemp("", "roomtide-proxies-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(packages)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := testprocess.InstallNPM(ctx, packages, "socket.io-client@4.8.4"); err != nil {
		return 0, err
	}
	return testprocess.Main(m, "", func(p *testprocess.Program) { roomtide = p }), nil
}

const room = "team/a" // its slash is %2F in a path

// site is a node without guests that trusts its proxy, as docs/proxies.md starts it.
type site struct {
	node       *testprocess.Node
	dir        string // its data dir
	key, token string
}

func startSite(t *testing.T) *site {
	dir := filepath.Join(t.TempDir(), "data")
	s := &site{dir: dir, node: roomtide.Start(t, dir, testprocess.FreeAddr(t), "ROOMTIDE_GUESTS=off", "ROOMTIDE_TRUSTED_PROXIES=127.0.0.1/32")}
	s.node.Ready()
	verb := func(args ...string) string {
		out, errs, err := roomtide.Run(t.Context(), append(args, "--data-dir="+dir)...)
		if err != nil {
			t.Fatal(err, errs)
		}
		return strings.TrimSpace(out)
	}
	s.key = verb("key", "add", "back end")
	s.token = verb("token", "--user=ann", "--room="+room)
	if status, body := s.do(t, http.MethodPut, s.node.URL("/v1/rooms/team%2Fa"), `{"title":"Team A"}`); status >= 300 {
		t.Fatal(status, body)
	}
	return s
}

// do sends a request of the back end.
func (s *site) do(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r) // redirects are answers
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// say posts a message of the back end below a base URL.
func (s *site) say(t *testing.T, base, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"user":"host","message":%q}`, text)
	if status, answer := s.do(t, http.MethodPost, base+"/v1/rooms/team%2Fa/messages", body); status != http.StatusCreated {
		t.Fatalf("a message over HTTP: %d %s", status, answer)
	}
}

func TestSamples(t *testing.T) {
	s := startSite(t)
	for _, p := range proxies {
		host, path := samples(t, p.lang)
		t.Run(p.lang+"/host", func(t *testing.T) {
			s.everyTransport(t, "http://"+p.run(t, host, s.node.Addr), "")
			wantRequestHandedOn(t, p, host, "")
		})
		t.Run(p.lang+"/path", func(t *testing.T) {
			s.everyTransport(t, "http://"+p.run(t, path, s.node.Addr), "/chat")
			wantRequestHandedOn(t, p, path, "/chat")
		})
	}
}

// The command that starts the node in the document is sound.
func TestCommand(t *testing.T) {
	blocks, err := markdown.Blocks(document)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, b := range blocks {
		flags, ok := strings.CutPrefix(b.Text, "roomtide serve ")
		if b.Lang != "sh" {
			continue
		}
		found = true
		out, errs, err := roomtide.Run(t.Context(), append([]string{"config", "check"}, strings.Fields(flags)...)...)
		if !ok || err != nil || strings.Contains(out+errs, "warning") {
			t.Errorf("%s: %v\n%s%s", b.Text, err, out, errs)
		}
	}
	if !found {
		t.Error("the document starts no node")
	}
}

// everyTransport uses the node at origin + prefix.
func (s *site) everyTransport(t *testing.T, origin, prefix string) {
	base := origin + prefix
	s.waitReady(t, base)
	if prefix != "" {
		if status, _ := s.do(t, http.MethodGet, base, ""); status/100 != 3 {
			t.Errorf("the path without its last slash: %d", status)
		}
	}
	for _, file := range []string{"/", "/static/roomtide.js"} {
		if status, _ := s.do(t, http.MethodGet, base+file, ""); status != http.StatusOK {
			t.Errorf("%s: %d", file, status)
		}
	}
	s.say(t, base, "hello")
	if status, answer := s.do(t, http.MethodPost, base+"/v1/rooms/team%2Fa/messages", strings.Repeat(" ", 70<<10)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: %d %s", status, answer)
	}
	s.eventStream(t, base)
	s.webSocket(t, origin, base)
	s.socketIO(t, origin, prefix)
	for _, path := range []string{"/ws", "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"} {
		foreignPage(t, base+path)
	}
	s.doctor(t, base)
}

// doctor finds nothing wrong with the way through the proxy.
func (s *site) doctor(t *testing.T, base string) {
	t.Helper()
	out, errs, err := roomtide.Run(t.Context(), "doctor", "--json", "--data-dir="+s.dir, "--listen="+s.node.Addr, "--guests=off",
		"--trusted-proxies=127.0.0.1/32", "--no-rate-limits", "--url="+base)
	if err != nil {
		t.Errorf("doctor: %v %s%s", err, out, errs)
		return
	}
	var report struct{ Findings []doctor.Finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range report.Findings {
		if f.Section != "public address" {
			continue
		}
		seen[f.Check] = true
		if f.Level != doctor.OK {
			t.Errorf("doctor: %+v", f)
		}
		if f.Check == "proxy" && !strings.Contains(f.Text, "is trusted") {
			t.Errorf("doctor sees no proxy: %s", f.Text)
		}
	}
	for _, check := range []string{"reached", "origin", "proxy", "guests", "path", "websocket", "event stream"} {
		if !seen[check] {
			t.Errorf("doctor did not look at %s", check)
		}
	}
}

// waitReady waits until the proxy has found the node.
func (s *site) waitReady(t *testing.T, base string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, body := s.do(t, http.MethodGet, base+"/readyz", "")
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %d %s", status, body)
		}
	}
}

// eventStream wants an event while the stream is open: before its next sign of life,
// which would push out what a proxy holds back.
func (s *site) eventStream(t *testing.T, base string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/rooms/team%2Fa/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal("an event stream:", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal("an event stream:", resp.Status)
	}
	s.say(t, base, "for streams")
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "for streams") {
			return
		}
	}
	t.Error("an event stream has no event within 10 s:", lines.Err())
}

func (s *site) webSocket(t *testing.T, origin, base string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{
		URL: base + "/ws", Header: http.Header{"Origin": {origin}},
		Token: func(context.Context) (string, error) { return s.token, nil },
	})
	if err != nil {
		t.Fatal("a WebSocket:", err)
	}
	defer c.Close()
	if _, err := c.Join(ctx, room, client.JoinOptions{}); err != nil {
		t.Fatal("a WebSocket:", err)
	}
	s.say(t, base, "for sockets")
	for {
		select {
		case ev, ok := <-c.Events():
			if !ok {
				t.Fatal("a WebSocket:", c.Err())
			}
			if ev.Kind == chat.EventMessage && ev.Message.Text == "for sockets" {
				return
			}
		case <-ctx.Done():
			t.Fatal("a WebSocket has no event within 20 s")
		}
	}
}

func (s *site) socketIO(t *testing.T, origin, prefix string) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "sio.mjs", packages, origin, prefix+"/socket.io/", s.token, room).CombinedOutput()
	const want = "over polling,websocket with websocket\nover polling with polling\n"
	if err != nil || string(out) != want {
		t.Errorf("Socket.IO: %v, received %q, want %q", err, out, want)
	}
}

// foreignPage wants a connection from a page of another site to be refused in words.
func foreignPage(t *testing.T, url string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Origin": {"https://stranger.example"}}
	if !strings.HasSuffix(url, "polling") {
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
		r.Header["Sec-Websocket-Version"], r.Header["Sec-Websocket-Key"] = []string{"13"}, []string{"dGhlIHNhbXBsZSBub25jZQ=="}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "origin") {
		t.Errorf("a page of another site: %s: %d %q %v", url, resp.StatusCode, text, err)
	}
}

// wantRequestHandedOn puts another server behind the proxy, and wants it to get the
// path, the host and the client's address of a request as they were.
func wantRequestHandedOn(t *testing.T, p proxy, sample, prefix string) {
	type seen struct {
		uri, host string
		client    netip.Addr
	}
	trusted := clientaddr.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	requests := make(chan seen, 100)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			requests <- seen{r.RequestURI, r.Host, trusted.Client(r)}
		}
	}))
	defer upstream.Close()
	listen := p.run(t, sample, upstream.Listener.Addr().String())
	from := &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}).DialContext,
	}}
	defer from.CloseIdleConnections()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // HAProxy looks first
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listen+prefix+"/v1/rooms/team%2Fa/messages?limit=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", "203.0.113.9") // what a client says of itself is not believed
		resp, err := from.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(resp.Status)
		}
	}
	want := seen{"/v1/rooms/team%2Fa/messages?limit=1", listen, netip.MustParseAddr("127.0.0.77")}
	if got := <-requests; got != want {
		t.Errorf("the node is told %v, want %v", got, want)
	}
}
