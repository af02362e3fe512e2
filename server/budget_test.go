package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// Every answer to a user says what it may still send, and a refusal when to go on; a
// limit that is cut is told.
func TestAnswersTellTheirLimits(t *testing.T) {
	cfg := settings(t)
	cfg.Rates.UserBurst, cfg.Rates.UserMessages = 4, 0.1
	s := open(t, cfg)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	do := func(method, path, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Roomtide-User", "ann")
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	// Making the room spends one as well.
	for i, want := range []struct {
		status           int
		remaining, reset string
	}{{201, "2", "20"}, {201, "1", "30"}, {201, "0", "40"}, {429, "0", "40"}} {
		resp := do("POST", "v1/rooms/r/messages", `{"message":"a"}`)
		h := resp.Header
		if resp.StatusCode != want.status || h.Get("RateLimit-Limit") != "4" || h.Get("RateLimit-Remaining") != want.remaining || h.Get("RateLimit-Reset") > want.reset {
			t.Errorf("message %d: %d %v", i, resp.StatusCode, h)
		}
		if (h.Get("Retry-After") != "") != (want.status == 429) {
			t.Errorf("message %d: Retry-After %q", i, h.Get("Retry-After"))
		}
	}
	for path, want := range map[string]string{
		"messages?limit=1000": "100", "messages?limit=100": "", "changes?limit=100000": "500", "members?limit=99999999999": "1000", "online?limit=5000": "1000", "online": "",
	} {
		resp := do("GET", "v1/rooms/r/"+path, "")
		if got := resp.Header.Get("Roomtide-Limit"); resp.StatusCode != 200 || got != want || resp.Header.Get("RateLimit-Limit") != "4" {
			t.Errorf("%s: %d, %q, want %q", path, resp.StatusCode, got, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
