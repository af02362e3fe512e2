package adopt

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/roomtide/roomtide/adopt/follow"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// mostTouched is how many bytes a call that touches rows may have.
const mostTouched = 64 << 10

// Touch is a small HTTP server for the old chat's pages: a page that has written a row
// names its key, so that the row need not wait until the follower finds it. It is a hint.
// What a call names is read again from the table, so that it can say nothing that is not
// there; and what is not named is found later.
type Touch struct {
	server http.Server
	ended  chan struct{}
}

// ServeTouch serves at an address of this machine alone, such as 127.0.0.1:8081, or at a
// socket, unix:/run/roomtide/touch.sock, since a request needs no credentials. Any other
// address is Invalid. Keys go to touches.
func ServeTouch(address string, touches *follow.Touches, log *slog.Logger) (*Touch, error) {
	l, err := listenHere(address)
	if err != nil {
		return nil, err
	}
	t := &Touch{ended: make(chan struct{})}
	t.server = http.Server{
		Handler:     http.MaxBytesHandler(touchHandler(touches), mostTouched),
		ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(t.ended)
		if err := t.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("adopt: rows cannot be touched any more; the follower finds what changes", "err", err)
		}
	}()
	return t, nil
}

// Close ends the server, and returns when its goroutine has.
func (t *Touch) Close() error {
	err := t.server.Close()
	<-t.ended
	return err
}

func listenHere(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		l, err := net.Listen("unix", path)
		return l, unusable(address, err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unusable(address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, chat.E(chat.Invalid, "rows are touched at an address of this machine alone, such as 127.0.0.1:8081, or at a socket, unix:/run/roomtide/touch.sock, and not at "+address)
	}
	l, err := net.Listen("tcp", address)
	return l, unusable(address, err)
}

func unusable(address string, err error) error {
	if err == nil {
		return nil
	}
	return &chat.Error{Kind: chat.Invalid, Op: "adopt.touch", Text: "rows cannot be touched at " + address, Err: err}
}

// touchHandler takes POST with {"keys": ["1", 2]}: 204, 400 or, when too many wait, 503.
func touchHandler(touches *follow.Touches) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Keys []any `json:"keys"`
		}
		d := json.NewDecoder(r.Body)
		d.UseNumber()
		if err := d.Decode(&body); err != nil {
			http.Error(w, `the body is no JSON like {"keys": ["4711"]}`, http.StatusBadRequest)
			return
		}
		keys := make([]source.Key, 0, len(body.Keys))
		for _, k := range body.Keys {
			switch k := k.(type) {
			case string:
				keys = append(keys, source.Key(k))
			case json.Number:
				keys = append(keys, source.Key(k.String()))
			default:
				http.Error(w, "a key is a text or a number", http.StatusBadRequest)
				return
			}
		}
		if err := touches.Add(keys...); err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, chat.Public(err).Text, http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
