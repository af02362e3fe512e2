package clientfiles_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/socketio/clientfiles"
)

func get(method, name string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/socket.io/"+name, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	clientfiles.Handler().ServeHTTP(w, r)
	return w
}

// Each file is the client of that version with its licence notice, packed for those
// that take that, and is not sent again to those that have it.
func TestFiles(t *testing.T) {
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"} {
		plain := get("GET", name)
		if body := plain.Body.String(); plain.Code != 200 || !strings.Contains(body, "Socket.IO v"+clientfiles.Version) ||
			!strings.Contains(body, "Released under the MIT License") || !strings.HasSuffix(strings.TrimSpace(body), "//# sourceMappingURL="+name+".map") {
			t.Errorf("%s: %d, %d bytes", name, plain.Code, len(body))
		}
		if got := plain.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/javascript") {
			t.Errorf("%s: %s", name, got)
		}
		packed := get("GET", name, "Accept-Encoding", "br, gzip")
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, plain.Body.Bytes()) || packed.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: packed it is something else, %v", name, err)
		}
		for _, w := range []*httptest.ResponseRecorder{plain, packed} {
			tag := w.Header().Get("ETag")
			if again := get("GET", name, "If-None-Match", tag, "Accept-Encoding", w.Header().Get("Content-Encoding")); tag == "" || again.Code != 304 || again.Body.Len() != 0 {
				t.Errorf("%s: %d with ETag %s", name, again.Code, tag)
			}
		}
		if w := get("GET", name, "Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s is packed against the client's will", name)
		}
		if w := get("HEAD", name); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d", name, w.Code)
		}
		if w := get("GET", name+".map"); w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Body.Bytes()[0] != '{' {
			t.Errorf("the map of %s: %d", name, w.Code)
		}
	}
	for _, name := range []string{"socket.io.msgpack.min.js", "socket.io.js.gz", "LICENSE", ""} {
		if w := get("GET", name); w.Code != 404 || !strings.Contains(w.Body.String(), "socket.io.min.js") {
			t.Errorf("%q: %d %s", name, w.Code, w.Body)
		}
	}
	if w := get("POST", "socket.io.js"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}
