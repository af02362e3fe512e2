package standin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Answer is how a request is answered on demand.
type Answer struct {
	Service    string `json:"service"`
	Times      int    `json:"times,omitempty"`  // default 1
	Status     int    `json:"status,omitempty"` // default 200
	Reason     string `json:"reason,omitempty"` // default: a usual one of the status
	RetryAfter string `json:"retry_after,omitempty"`
	Do         string `json:"do,omitempty"`
}

// What Answer.Do can be, instead of an answer or beside it.
const (
	DoReset    = "reset"    // the connection breaks
	DoSilence  = "silence"  // no answer, until the client gives up
	DoGoAway   = "goaway"   // taken, and the connection takes no more
	DoFlood    = "flood"    // the status, and megabytes
	DoRedirect = "redirect" // to another address of the server
	DoGarbage  = "garbage"  // the status, and what is not JSON
)

// perform answers as it was demanded. It returns false where the request is to be taken.
func (s *Server) perform(w http.ResponseWriter, r *http.Request, a Answer, fail failFunc) bool {
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	switch a.Do {
	case DoReset:
		connOf(r).reset()
		return true
	case DoSilence:
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	case DoGoAway:
		w.Header().Set("Connection", "close") // net/http makes a GOAWAY of it
		return false
	case DoFlood:
		w.WriteHeader(max(a.Status, http.StatusOK))
		chunk := make([]byte, 64<<10)
		for range 256 {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		return true
	case DoRedirect:
		http.Redirect(w, r, s.url+"/elsewhere", http.StatusTemporaryRedirect)
		return true
	case DoGarbage:
		w.WriteHeader(max(a.Status, http.StatusOK))
		_, _ = io.WriteString(w, "<html>"+r.Header.Get("Authorization")+"</html>") // the client may be gone
		return true
	}
	if a.Status == 0 || a.Status/100 == 2 {
		return false
	}
	fail(a.Status, a.Reason)
	return true
}

// failFunc writes an error of a service; an empty reason is a usual one of the status.
type failFunc func(status int, reason string)

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// body reads at most limit bytes. ok is false for more.
func body(r *http.Request, limit int64) (b []byte, ok bool) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	return b, err == nil && int64(len(b)) <= limit
}

// device is an installation or a subscription that a service knows.
type device struct {
	service string
	gone    time.Time // zero: it is there
	of      any       // what the service knows of it
}

func (s *Server) device(id string) *device {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[id]; d != nil {
		copied := *d
		return &copied
	}
	return nil
}

// Remove has a target be gone since a time: the app was uninstalled, the subscription ended.
// id is what Notification.Target says.
func (s *Server) Remove(id string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[id]; d != nil {
		d.gone = since
	}
}
