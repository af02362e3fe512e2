// Package web serves the chat page at /: HTML, CSS and ES modules, embedded into the
// binary, without a build step and without files of other hosts. The modules
// roomtide.js, connection.js, room.js, outbox.js, push.js, token.js and storage.js are the protocol client
// and do not depend on the page, so that other sites can import them, from any origin;
// roomtide.d.ts has its types.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var files embed.FS

// policy lets the page load its own files and connect to its own server, and show
// pictures of users, whose addresses the host has given. Nothing else: a script injected
// through a message would not run.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// types are the content types of what is embedded. They are not left to the
// machine's mime tables: a module served as text/plain does not run.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".ts":   "text/plain; charset=utf-8", // of types: it is read, not run
}

// file is one embedded file, ready to be sent.
type file struct {
	contentType string
	plain, gzip variant
}

// variant is a file in one content coding. Its ETag is of its own, as caches need.
type variant struct {
	body []byte
	etag string
}

type handler struct {
	pages   map[string]*file // by URL path
	missing *file
}

// New returns the handler of the page: /, /worker.js and /static/…. Everything else is a
// page that says so, with status 404. It expects to be mounted at the root.
func New() http.Handler {
	h := &handler{pages: map[string]*file{}}
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		h.pages["/"+name] = newFile(name, body)
		return nil
	})
	if err != nil {
		panic("web: embedded files cannot be read: " + err.Error())
	}
	move := func(name string) *file {
		f := h.pages["/static/"+name]
		delete(h.pages, "/static/"+name)
		return f
	}
	h.pages["/"] = move("index.html")
	h.pages["/worker.js"] = move("worker.js") // beside the page, which is its scope
	h.missing = move("404.html")
	return h
}

func newFile(name string, body []byte) *file {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
	w.Write(body)                                              // a bytes.Buffer takes everything
	w.Close()
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:12])
	return &file{
		contentType: types[path.Ext(name)],
		plain:       variant{body, `"` + tag + `"`},
		gzip:        variant{packed.Bytes(), `"` + tag + `-gzip"`},
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/static/") {
		head.Set("Access-Control-Allow-Origin", "*") // modules for pages of other origins; nothing here is a secret
		head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	f, status := h.pages[r.URL.Path], http.StatusOK
	if f == nil {
		f, status = h.missing, http.StatusNotFound
	}
	f.serve(w, r, status)
}

// serve sends the file in the coding the client takes, or 304 if it has it.
func (f *file) serve(w http.ResponseWriter, r *http.Request, status int) {
	head := w.Header()
	v := f.plain
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		v = f.gzip
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("Vary", "Accept-Encoding")
	head.Set("Cache-Control", "no-cache") // ask each time: 304 is cheap, a stale client is not
	if status == http.StatusOK {
		head.Set("ETag", v.etag)
		if matches(r.Header.Get("If-None-Match"), v.etag) {
			head.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	head.Set("Content-Type", f.contentType)
	head.Set("Content-Length", strconv.Itoa(len(v.body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(v.body) // fails only when the client is gone
	}
}

// takesGzip reads Accept-Encoding as browsers write it: gzip by name, not refused with q=0.
func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(params), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// matches compares If-None-Match with the ETag, weakly as RFC 9110 has it.
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
