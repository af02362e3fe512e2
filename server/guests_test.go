package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/identity"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/websocket"
)

// site is a running node and how requests reach it: under a host name, with the
// headers of a proxy or a page.
type site struct {
	*testing.T
	s   *Server
	log *lockedLog
	web *http.Client
}

type lockedLog struct {
	lines chan string
}

func (l *lockedLog) Write(p []byte) (int, error) {
	select {
	case l.lines <- string(p):
	default:
	}
	return len(p), nil
}

func running(t *testing.T, change func(*config.Config)) *site {
	t.Helper()
	cfg := settings(t)
	change(cfg)
	log := &lockedLog{make(chan string, 1000)}
	s, err := Open(t.Context(), cfg, "v1", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	w := &site{T: t, s: s, log: log}
	transport := &http.Transport{DialContext: w.dial}
	w.web = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return w
}

// dial connects to the node, whatever the name: what a page does whose own name points
// there.
func (w *site) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", w.s.listener.Addr().String())
}

func (w *site) request(method, host, path string, body string, h http.Header) (int, string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header = h.Clone()
	if body != "" && strings.HasPrefix(path, "/v1") {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.web.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp.StatusCode, ""
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// enters reports on which transports a client comes in with the credentials: the
// fields of hello, and the headers of HTTP.
func (w *site) enters(host string, hello string, h, creds http.Header) (in []string) {
	w.Helper()
	if h == nil {
		h = http.Header{}
	}
	if ws, err := (&websocket.Dialer{NetDial: w.dial}).Dial(w.Context(), "ws://"+host+"/ws", h); err == nil {
		defer ws.Close()
		if err := ws.WriteMessage(websocket.Text, []byte(`{"type":"hello","id":1,`+hello+`}`)); err != nil {
			w.Fatal(err)
		}
		_, p, err := ws.ReadMessage(1 << 20)
		if err != nil {
			w.Fatal(err)
		}
		if strings.Contains(string(p), `"type":"ack"`) {
			in = append(in, "ws")
		}
	}
	const polling = "/socket.io/?EIO=4&transport=polling"
	if status, text := w.request("GET", host, polling, "", h); status == 200 {
		sid := strings.Split(text, `"`)[3]
		w.request("POST", host, polling+"&sid="+sid, "40{"+hello+"}", h)
		if _, text = w.request("GET", host, polling+"&sid="+sid, "", h); strings.Contains(text, `40{"sid"`) {
			in = append(in, "sio")
		}
	}
	all := h.Clone()
	for k, v := range creds {
		all[k] = v
	}
	if status, _ := w.request("GET", host, "/v1/rooms", "", all); status == 200 {
		in = append(in, "http")
	}
	if status, _ := w.request("GET", host, "/v1/rooms/lobby/events", "", all); status == 200 {
		in = append(in, "events")
	}
	return in
}

func (w *site) guest(host, name string, h http.Header) string {
	w.Helper()
	return strings.Join(w.enters(host, `"user":"`+name+`"`, h, http.Header{"Roomtide-User": {name}}), " ")
}

func (w *site) user(host, token string, h http.Header) string {
	w.Helper()
	return strings.Join(w.enters(host, `"token":"`+token+`"`, h, http.Header{"Authorization": {"Bearer " + token}}), " ")
}

func (w *site) mint(user chat.UserID) string {
	w.Helper()
	raw, err := identity.Mint(w.s.secret, user, "", []chat.RoomID{"lobby"}, time.Hour)
	if err != nil {
		w.Fatal(err)
	}
	return raw
}

const everywhere = "ws sio http events"

// Guests come in on this machine and under the node's own names. What a proxy has
// forwarded, and what names another host, needs a token; tokens are good anywhere.
func TestWhereGuestsAreWelcome(t *testing.T) {
	forwarded := http.Header{"X-Forwarded-For": {"203.0.113.5"}}
	evil := http.Header{"Origin": {"http://evil.example"}}
	for _, tt := range []struct {
		name   string
		guests string
		host   string
		header http.Header
		want   bool
	}{
		{"on this machine", "auto", "127.0.0.1:8080", nil, true},
		{"by its name", "auto", "localhost:8080", nil, true},
		{"through a proxy", "auto", "127.0.0.1:8080", forwarded, false},
		{"through a proxy that says via", "auto", "127.0.0.1:8080", http.Header{"Via": {"1.1 x"}}, false},
		{"through a proxy that says so in the standard's way", "auto", "localhost", http.Header{"Forwarded": {"for=203.0.113.5"}}, false},
		{"through a proxy that passes on the name alone", "auto", "chat.example.com", nil, false},
		{"a page that points its name here", "auto", "evil.example", evil, false},
		{"a page that points its name here, guests on", "on", "evil.example", evil, false},
		{"guests on, through a proxy", "on", "127.0.0.1:8080", forwarded, true},
		{"guests on, under a name in origins", "on", "chat.example.org", forwarded, true},
		{"guests off", "off", "127.0.0.1:8080", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := running(t, func(c *config.Config) { c.Guests, c.Origins = tt.guests, []string{"https://chat.example.org"} })
			want := ""
			if tt.want {
				want = everywhere
			}
			if got := w.guest(tt.host, "bob", tt.header); got != want {
				t.Errorf("a guest comes in by %q, want %q", got, want)
			}
			if got := w.user(tt.host, w.mint("ann"), tt.header); got != everywhere {
				t.Errorf("a token comes in by %q", got)
			}
		})
	}
}

// Why a guest was not let in is in the log, with the setting that helps, and not more
// than once a minute.
func TestRefusedGuestsAreLogged(t *testing.T) {
	w := running(t, func(*config.Config) {})
	for range 3 {
		w.guest("chat.example.com", "bob", nil)
	}
	n := 0
	for len(w.log.lines) > 0 {
		if line := <-w.log.lines; strings.Contains(line, "guests are not welcome for a request") {
			n++
			if !strings.Contains(line, "chat.example.com") || !strings.Contains(line, "setting origins") {
				t.Error(line)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d lines", n)
	}
}

// Whatever transport a user's token came by, no transport takes a guest of that name.
func TestGuestsAreNoUsersOfTheApplication(t *testing.T) {
	w := running(t, func(*config.Config) {})
	const here = "127.0.0.1:8080"
	if got := w.guest(here, "bob", nil); got != everywhere {
		t.Fatalf("before: %q", got)
	}
	for i, way := range []string{"ws", "sio", "http"} {
		name := "user" + way
		token := w.mint(chat.UserID(name))
		switch i {
		case 0:
			ws, err := (&websocket.Dialer{NetDial: w.dial}).Dial(t.Context(), "ws://"+here+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.Close()
			if err := ws.WriteMessage(websocket.Text, []byte(`{"type":"hello","id":1,"token":"`+token+`"}`)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(1 << 20); err != nil {
				t.Fatal(err)
			}
		case 1:
			_, text := w.request("GET", here, "/socket.io/?EIO=4&transport=polling", "", http.Header{})
			sid := "&sid=" + strings.Split(text, `"`)[3]
			w.request("POST", here, "/socket.io/?EIO=4&transport=polling"+sid, `40{"token":"`+token+`"}`, http.Header{})
			w.request("GET", here, "/socket.io/?EIO=4&transport=polling"+sid, "", http.Header{})
		case 2:
			w.request("GET", here, "/v1/rooms", "", http.Header{"Authorization": {"Bearer " + token}})
		}
		if got := w.guest(here, name, nil); got != "" {
			t.Errorf("after a token by %s a guest comes in by %q", way, got)
		}
	}
	settled(t, w.s)
	if a, err := w.s.store.User("userws").Access(t.Context(), "userws"); err != nil || !a.Claimed {
		t.Errorf("after a restart it would be forgotten: %+v, %v", a, err)
	}
}

// An ended token opens nothing on any transport, and what it had opened is over.
func TestEndedTokensOnEveryTransport(t *testing.T) {
	w := running(t, func(c *config.Config) { c.Guests = "off" })
	const here = "127.0.0.1:8080"
	token := w.mint("ann")
	if got := w.user(here, token, nil); got != everywhere {
		t.Fatalf("before: %q", got)
	}
	if _, err := w.s.engine.EndTokens(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if got := w.user(here, token, nil); got != "" {
		t.Errorf("after: %q", got)
	}
	if got := w.user(here, w.mint("bob"), nil); got != everywhere {
		t.Errorf("another user: %q", got)
	}
}

// What a token has open is ended with the token, on every transport, with the reason.
func TestEndOfATokenEndsWhatIsOpen(t *testing.T) {
	w := running(t, func(c *config.Config) { c.Guests = "off" })
	const here = "127.0.0.1:8080"
	token := w.mint("ann")

	ws, err := (&websocket.Dialer{NetDial: w.dial}).Dial(t.Context(), "ws://"+here+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.Text, []byte(`{"type":"hello","id":1,"token":"`+token+`"}`)); err != nil {
		t.Fatal(err)
	}
	if _, p, err := ws.ReadMessage(1 << 20); err != nil || !strings.Contains(string(p), `"ack"`) {
		t.Fatalf("%s %v", p, err)
	}
	const polling = "/socket.io/?EIO=4&transport=polling"
	_, text := w.request("GET", here, polling, "", http.Header{})
	sid := "&sid=" + strings.Split(text, `"`)[3]
	w.request("POST", here, polling+sid, `40{"token":"`+token+`"}`, http.Header{})
	if _, text = w.request("GET", here, polling+sid, "", http.Header{}); !strings.Contains(text, `40{"sid"`) {
		t.Fatal(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+here+"/v1/rooms/lobby/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	stream, err := w.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()

	raw, key, err := identity.NewKey("operator", []string{identity.ScopeUsers})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.s.store.Control.SaveKey(t.Context(), store.APIKey(key)); err != nil {
		t.Fatal(err)
	}
	if status, text := w.request("DELETE", here, "/v1/users/ann/tokens", "", http.Header{"Authorization": {"Bearer " + raw}}); status != 200 || !strings.Contains(text, `"closed":3`) {
		t.Fatalf("%d %s", status, text)
	}
	const revoked = `"code":4403,"reason":"revoked"`
	if _, p, err := ws.ReadMessage(1 << 20); err != nil || !strings.Contains(string(p), revoked) {
		t.Errorf("WebSocket: %s %v", p, err)
	}
	if _, text := w.request("GET", here, polling+sid, "", http.Header{}); !strings.Contains(text, revoked) {
		t.Errorf("Socket.IO: %s", text)
	}
	if all, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(all), revoked) {
		t.Errorf("event stream: %s %v", all, err)
	}
}

// Profiles and figures on loopback are for this machine, and not for a page in a
// browser on it that points its own name there.
func TestForeignNamesSeeNoProfilesAndNoFigures(t *testing.T) {
	s := open(t, settings(t))
	address, err := s.serveAside("test", "127.0.0.1:0", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for host, want := range map[string]int{address: 200, "127.0.0.1:6060": 200, "localhost:6060": 200, "evil.example:6060": 421, "evil.example": 421} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
}
