package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/config"
)

// A node tells of itself to a reader of its data dir, and to nothing else.
func TestSelf(t *testing.T) {
	w := running(t, func(c *config.Config) {
		c.Guests, c.Origins, c.TrustedProxies = "off", []string{"https://www.example.org"}, []string{"127.0.0.1/32"}
	})
	w.s.version = "v9"
	secret, err := Secret(w.s.cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "Origin": {"https://www.example.org"}}
	for name, proof := range map[string]string{
		"none": "", "nonsense": "1.2", "another secret's": SelfProof([]byte("x"), time.Now()),
		"an old one": SelfProof(secret, time.Now().Add(-2*time.Minute)), "of tomorrow": SelfProof(secret, time.Now().Add(2*time.Minute)),
		"without a sum": strings.Split(SelfProof(secret, time.Now()), ".")[0],
	} {
		h.Set(SelfHeader, proof)
		if status, body := w.request("GET", "localhost", SelfPath, "", h); status != http.StatusNotFound || strings.Contains(body, "settings") {
			t.Errorf("with the proof %q: %d %s", name, status, body)
		}
	}
	h.Set(SelfHeader, SelfProof(secret, time.Now()))
	status, body := w.request("GET", "other.example", SelfPath, "", h)
	var self Self
	if err := json.Unmarshal([]byte(body), &self); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if self.Version != "v9" || self.Ready != "" || self.Host != "other.example" || self.Peer != "127.0.0.1" || self.Client != "203.0.113.9" ||
		!slices.Equal(self.Forwarded, []string{"X-Forwarded-For"}) || self.NoGuest == "" || !self.OriginAllowed || self.Files < self.Connections ||
		self.Settings["guests"] != `"off"` || time.Since(time.UnixMilli(self.Started)) > time.Minute {
		t.Errorf("it tells %s", body)
	}
	h.Set("Origin", "https://elsewhere.example")
	if _, body := w.request("GET", "other.example", SelfPath, "", h); !strings.Contains(body, `"origin_allowed":false`) {
		t.Errorf("of another origin it tells %s", body)
	}
}
