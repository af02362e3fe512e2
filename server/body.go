package server

import (
	"io"
	"net/http"
	"time"
)

const (
	bodyTime  = 10 * time.Second // for a request body to come in, unless a transport gives it more
	bodyBytes = 64 << 10         // of a body that has no meaning: it is read and dropped
)

// boundBodies gives the body of every request a deadline, whether next reads it or
// not: what next leaves unread is read by net/http, before the next request and in some
// cases before the answer, and without a deadline a client that announces a body and
// sends none would hold the connection for ever.
//
// A body of a method that has none is read and dropped first. Only then does net/http
// see that a client goes away while next works, which matters where next waits or
// streams.
func boundBodies(next http.Handler, patience time.Duration) http.Handler {
	return &bounds{next, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(patience)) // fails only where there are no connections, in tests
		// The request itself stays as it is: net/http looks at the type of its Body to
		// learn whether the client waits for "100 Continue".
		bounded := *r
		bounded.Body = &boundBody{ReadCloser: r.Body, rc: rc}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			if !dropBody(bounded.Body) {
				w.Header().Set("Connection", "close")
				http.Error(w, "the request announced a body that did not come in time, or was too large", http.StatusRequestTimeout)
				return
			}
			bounded.Body = http.NoBody
		}
		next.ServeHTTP(w, &bounded)
	})}
}

// bounds is the handler that boundBodies makes of next.
type bounds struct {
	next http.Handler
	http.Handler
}

// dropBody reads a body to its end and reports whether that was reached.
func dropBody(body io.Reader) bool {
	_, err := io.CopyN(io.Discard, body, bodyBytes+1)
	return err == io.EOF
}

// boundBody takes the deadline away when the body has been read. Otherwise it would end
// net/http's wait for the client to go away, and with it the request's context.
type boundBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *boundBody) Read(p []byte) (n int, err error) {
	if n, err = b.ReadCloser.Read(p); err == io.EOF {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
