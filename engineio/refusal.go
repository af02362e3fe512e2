package engineio

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// refusal is the answer to a request that is not served: a code that clients
// know, as JSON.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`

	status int
}

var (
	unknownTransport   = &refusal{0, "Transport unknown", http.StatusBadRequest}
	unknownSession     = &refusal{1, "Session ID unknown", http.StatusBadRequest}
	badHandshakeMethod = &refusal{2, "Bad handshake method", http.StatusBadRequest}
	badRequest         = &refusal{3, "Bad request", http.StatusBadRequest}
	foreignPage        = &refusal{4, "Forbidden", http.StatusForbidden}
	serverFull         = &refusal{4, "Too many sockets", http.StatusServiceUnavailable}
	serverClosed       = &refusal{4, "Server is shutting down", http.StatusServiceUnavailable}
	idTaken            = &refusal{4, "The session id is taken", http.StatusServiceUnavailable}
	unsupportedVersion = &refusal{5, "Unsupported protocol version", http.StatusBadRequest}
	serverBusy         = &refusal{4, "Too many large bodies", http.StatusServiceUnavailable}

	// tooLarge has no body: clients hand it to the program as details of the error.
	tooLarge = &refusal{Code: 3, status: http.StatusRequestEntityTooLarge}
)

// CheckError is an error of Options.Check that refuses with a status of its own,
// such as 503 from a server that is full. Text is for the client.
type CheckError struct {
	Status int
	Text   string
}

func (e *CheckError) Error() string { return e.Text }

// refusalOf is the refusal for an error of Options.Check.
func refusalOf(err error) *refusal {
	status := http.StatusForbidden
	var own *CheckError
	if errors.As(err, &own) {
		status = own.Status
	}
	return &refusal{4, err.Error(), status}
}

// retryAfter is how many seconds a client should stay away from a full server.
const retryAfter = 5

// text says why, also where the answer has no body.
func (f *refusal) text() string {
	if f.Message == "" {
		return http.StatusText(f.status)
	}
	return f.Message
}

func (f *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if f.Message == "" {
		w.WriteHeader(f.status)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	body, err := json.Marshal(f)
	if err != nil { // an int and a string: cannot be
		body = nil
	}
	w.WriteHeader(f.status)
	w.Write(body) // the client may be gone
}

// drainMore is how much larger than allowed a body may be, and drainTime how long
// it may take, so that its client surely gets the answer.
const (
	drainMore = 256 << 10
	drainTime = time.Second
)

// drain throws away what a client is still sending with a request that is
// refused. Most read no answer before they have sent everything, and a connection
// that is closed while something arrives is reset, which loses the answer.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	most := int64(s.opts.MaxBody) + drainMore
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength > most || r.Header.Get("Expect") != "" {
		return // nothing comes, or too much, or not before we ask for it
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return // it could last
	}
	if _, err := io.CopyN(io.Discard, r.Body, most); err == io.EOF {
		_ = rc.SetReadDeadline(time.Time{}) // else it stays: net/http reads what is left
	}
}
