// Package clientfiles serves the browser's client of Socket.IO, so that a page can load
// it from the server that it is going to connect to:
//
//	<script src="/socket.io/socket.io.js"></script>
//
// The files are those of the npm package socket.io-client, unchanged; they are under
// the MIT license, which is beside them. They add 240 KB to a program.
// scripts/socketio-client fetches them.
package clientfiles

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
)

// Version is that of the client.
const Version = "4.8.4"

//go:embed files
var files embed.FS

// Handler serves socket.io.js, socket.io.min.js, socket.io.esm.min.js and their maps,
// by the last part of the path. For socketio.Options.ServeClient.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	packed, err := files.ReadFile("files/" + name + ".gz")
	if err != nil {
		http.Error(w, "there are socket.io.js, socket.io.min.js, socket.io.esm.min.js and their maps, of version "+Version, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	if strings.HasSuffix(name, ".map") {
		h.Set("Content-Type", "application/json")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=0, must-revalidate")
	// Nothing in it is secret, and modules are loaded from other origins only so.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Vary", "Accept-Encoding")
	content, tag := packed, `"`+Version+`-gzip"`
	if accepts(r) {
		h.Set("Content-Encoding", "gzip")
	} else if content, err = unpack(packed); err != nil {
		http.Error(w, "the file is damaged", http.StatusInternalServerError)
		return
	} else {
		tag = `"` + Version + `"`
	}
	h.Set("ETag", tag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

// accepts reports whether the client takes gzip.
func accepts(r *http.Request) bool {
	for t := range strings.SplitSeq(strings.Join(r.Header["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(t, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
