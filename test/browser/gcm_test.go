package browser

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// gcm is as much of Google's service as Chromium asks before it gives a page a subscription:
// it lets the browser check in, and gives each subscription a name. Nothing is delivered over
// it. Chromium takes its addresses as flags.
type gcm struct {
	*httptest.Server

	mu      sync.Mutex
	given   int  // names; guarded by mu
	refuses bool // guarded by mu
}

func startGCM(t *testing.T) *gcm {
	g := &gcm{}
	mux := http.NewServeMux()
	mux.HandleFunc("/checkin", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		// AndroidCheckinResponse: stats_ok, android_id, security_token
		b := []byte{1 << 3, 1, 7<<3 | 1}
		b = binary.LittleEndian.AppendUint64(b, 4711)
		b = binary.LittleEndian.AppendUint64(append(b, 8<<3|1), 4712)
		w.Header().Set("Content-Type", "application/x-protobuffer")
		_, _ = w.Write(b)
	})
	mux.HandleFunc("/register", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		switch {
		case r.FormValue("delete") == "true":
			fmt.Fprintf(w, "token=%s", r.FormValue("X-scope"))
		case g.refuses:
			fmt.Fprint(w, "Error=INVALID_SENDER")
		default:
			g.given++
			fmt.Fprintf(w, "token=subscription-%d", g.given)
		}
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

// refuse makes the service refuse subscriptions, or give them again.
func (g *gcm) refuse(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuses = on
}

// chromium starts a browser of its own that asks this service. Pages are in its profile:
// those of the other windows are as in a private one, which gets no subscriptions.
func (g *gcm) chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := testprocess.Chromium()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options(path),
		chromedp.Flag("gcm-checkin-url", g.URL+"/checkin"), chromedp.Flag("gcm-registration-url", g.URL+"/register"),
		chromedp.Flag("gcm-mcs-endpoint", g.URL), chromedp.Flag("disable-background-networking", false),
	)...)
	t.Cleanup(cancel)
	return ctx
}
