package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/webhook"
)

func newHook(t *testing.T, cfg webhook.HookConfig, answer http.HandlerFunc) *webhook.Hook {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	cfg.URL, cfg.Secret, cfg.Deployment, cfg.Allow = server.URL, webhook.NewSecret(), "d", loopback
	h, err := webhook.NewHook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestHookAnswers(t *testing.T) {
	for answer, want := range map[string]struct {
		text, data string
		kind       chat.Kind // 0: it is stored
		says       string
	}{
		``:                                  {text: "text", data: `{"a":1}`},
		`{}`:                                {text: "text", data: `{"a":1}`},
		`{"allow":true,"reason":"ignored"}`: {text: "text", data: `{"a":1}`},
		`{"message":"other"}`:               {text: "other", data: `{"a":1}`},
		`{"data":{"b" : 2},"message":""}`:   {text: "", data: `{"b":2}`},
		`{"allow":false,"reason":"no!"}`:    {kind: chat.Forbidden, says: "no!"},
		`{"allow":false}`:                   {kind: chat.Forbidden, says: "refused"},
		`{"allow":"no"}`:                    {kind: chat.Unavailable, says: "try again"},
		`[]`:                                {kind: chat.Unavailable, says: "try again"},
		`{"message":"` + strings.Repeat("x", 70_000) + `"}`: {kind: chat.Unavailable, says: "try again"},
	} {
		h := newHook(t, webhook.HookConfig{Timeout: time.Minute}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		m := &engine.Before{Room: "r", User: "ann", Text: "text", Data: []byte(`{"a":1}`)}
		err := h.Before(t.Context(), m)
		name := answer[:min(len(answer), 40)]
		if want.kind != 0 {
			if chat.KindOf(err) != want.kind || !strings.Contains(chat.Public(err).Text, want.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || m.Text != want.text || string(m.Data) != want.data {
			t.Errorf("%s: %q %s, %v", name, m.Text, m.Data, err)
		}
	}
}

// A host that does not answer costs its time-out a few times, and nothing then; what
// becomes of messages was declared.
func TestHookFails(t *testing.T) {
	for _, open := range []bool{true, false} {
		var requests atomic.Int64
		h := newHook(t, webhook.HookConfig{Timeout: 20 * time.Millisecond, FailOpen: open}, func(_ http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			io.Copy(io.Discard, r.Body) // only then it is seen that the client is gone
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		})
		for range 200 {
			err := h.Before(t.Context(), &engine.Before{Room: "r", User: "ann", Text: "text"})
			if open != (err == nil) || !open && chat.KindOf(err) != chat.Unavailable {
				t.Fatalf("open %v: %v", open, err)
			}
		}
		if n := requests.Load(); n > 20 {
			t.Errorf("%d requests of 200", n)
		}
	}
}

func TestHookSecret(t *testing.T) {
	if _, err := webhook.NewHook(webhook.HookConfig{URL: "https://www.example.org/", Secret: "secret"}); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
}
