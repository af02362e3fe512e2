package php

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOffline(t *testing.T) { run(t, nil, "offline.php") }

func TestAPI(t *testing.T) {
	s := newSite(t)
	run(t, s.env("READ_KEY="+s.newKey("read")), "api.php")
}

func TestTouch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || !bytes.Equal(body, []byte(`{"keys":["4711","a-b"]}`)) {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	run(t, []string{"TOUCH=" + strings.TrimPrefix(server.URL, "http://")}, "touch.php")
}

func TestPSR18(t *testing.T) { run(t, newSite(t).env(), "psr18.php") }

func TestLaravel(t *testing.T) { run(t, newSite(t).env(), "laravel.php") }
