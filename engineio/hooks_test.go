package engineio_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtide/roomtide/engineio"
)

// The program adds header fields and a cookie with the id, for proxies that choose a
// server by it.
func TestHeadersAndCookie(t *testing.T) {
	o := engineio.Options{
		Headers: func(h http.Header, r *http.Request, first bool) { h.Set("X-First", fmt.Sprint(first, " ", r.Method)) },
		Cookie:  &http.Cookie{Name: "io", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
	}
	both(t, o, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		a := c.get()
		c.sid = w.parseHello(a.body).SID
		if got, want := a.header.Get("Set-Cookie"), "io="+c.sid+"; Path=/; HttpOnly; SameSite=Lax"; got != want || a.header.Get("X-First") != "true GET" {
			t.Errorf("%q, want %q; %v", got, want, a.header)
		}
		if a := c.post("4x"); a.header.Get("Set-Cookie") != "" || a.header.Get("X-First") != "false POST" {
			t.Error(a.header)
		}
	})
}

func TestGenerateID(t *testing.T) {
	o := engineio.Options{GenerateID: func(r *http.Request) string { return r.Header.Get("X-ID") }}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := &client{world: w, version: 4}
		if h := w.parseHello(c.get("X-ID", "one").body); h.SID != "one" {
			t.Errorf("%+v", h)
		}
		for _, id := range []string{"one", ""} { // taken, none
			if a := c.get("X-ID", id); a.status != 503 {
				t.Errorf("%q: %v", id, a)
			}
		}
	})
}

func TestRefusedIsTold(t *testing.T) {
	var mu sync.Mutex
	var told []string
	o := engineio.Options{MaxPayload: 10, Refused: func(r *http.Request, code int, text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(r.Method, " ", code, " ", text))
	}}
	inBubble(t, o, func(t *testing.T, w *world) {
		c := w.open(4)
		c.post(strings.Repeat("x", 100)).want(t, 413, "")
		(&client{world: w, version: 4, sid: "unknown"}).get()
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(told, "; "); got != "POST 3 Request Entity Too Large; GET 1 Session ID unknown" {
			t.Error(got)
		}
	})
}

func TestBegan(t *testing.T) {
	inBubble(t, engineio.Options{}, func(t *testing.T, w *world) {
		c := w.open(4)
		began := time.Now()
		time.Sleep(100 * time.Millisecond) // of the bubble's clock
		s := w.engine.Find(c.sid)
		if !s.Began().Equal(began) || s.Request() == nil {
			t.Error(s.Began(), began)
		}
		if s.ForgetRequest(); !s.Began().IsZero() || s.Request() != nil {
			t.Error("it is not forgotten")
		}
	})
}

// A request of a session that the server does not have goes where it is, and is refused
// as ever if that is nowhere. Pages of other origins are refused before.
func TestElsewhere(t *testing.T) {
	o := engineio.Options{Elsewhere: func(w http.ResponseWriter, r *http.Request, sid string) bool {
		if sid != "there" {
			return false
		}
		w.WriteHeader(http.StatusTeapot)
		return true
	}}
	inBubble(t, o, func(t *testing.T, w *world) {
		there := &client{world: w, version: 4, sid: "there"}
		if a := there.get(); a.status != http.StatusTeapot {
			t.Errorf("%v", a)
		}
		if a := there.get("Origin", "https://elsewhere.example"); a.status != http.StatusForbidden {
			t.Errorf("a page of another origin: %v", a)
		}
		if a := (&client{world: w, version: 4, sid: "nowhere"}).get(); a.status != http.StatusBadRequest {
			t.Errorf("%v", a)
		}
		if a := w.open(4).post("4x"); a.status != http.StatusOK {
			t.Errorf("a session that is here: %v", a)
		}
	})
}
