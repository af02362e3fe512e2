package socketio

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/testprocess"
)

// page is a web site on another origin, with a copy of the client, which is its own
// or the node's.
const page = `<!doctype html><meta charset="utf-8"><title>site</title>
<script src="%s"></script>
<script type="module">import { peer } from '/peer.mjs'; window.site = peer(io);</script>`

// TestChromium runs the scenario of TestChat in a page of another origin.
func TestChromium(t *testing.T) {
	browser := startChromium(t)
	files := http.NewServeMux()
	files.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, page, cmp.Or(r.FormValue("client"), "/socket.io.js"))
	})
	files.HandleFunc("GET /peer.mjs", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, "peer.mjs")
	})
	files.HandleFunc("GET /socket.io.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(packages, "node_modules", "io4", "dist", "socket.io.js"))
	})
	site := httptest.NewServer(files)
	defer site.Close()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			w := newFixture(t, append(m.env, "ROOMTIDE_ORIGINS="+site.URL)...)
			address := site.URL
			if m.name != "polling" {
				address += "/?client=" + url.QueryEscape(w.node.URL("/socket.io/socket.io.min.js"))
			}
			c := &stockClient{object: openPage(t, browser, address), mode: m}
			c.scenario(w)
		})
	}
	t.Run("another origin", func(t *testing.T) {
		w := newFixture(t, "ROOMTIDE_ORIGINS=https://www.example.org")
		for _, m := range modes {
			c := &stockClient{object: openPage(t, browser, site.URL), mode: m}
			do[bool](c.object, "open", w.node.URL(""), m.options)
			if e := c.next("connect_error"); e.Message != "xhr poll error" && e.Message != "websocket error" {
				t.Errorf("%s: %+v", m.name, e)
			}
			do[bool](c.object, "close")
		}
	})
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	path, err := testprocess.Chromium()
	if err != nil {
		t.Fatal(err)
	}
	// Without UserDataDir each start has a fresh profile of its own.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return browser
}

// openPage opens the site in a window and returns its client.
func openPage(t *testing.T, browser context.Context, address string) *object {
	t.Helper()
	window, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// The first call opens the window, which lives as long as the context of that
	// call: it must have no deadline.
	if err := chromedp.Do(window); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(window, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return &object{t, func(call string, args []any) (json.RawMessage, error) {
		if args == nil {
			args = []any{}
		}
		list, err := json.Marshal(args)
		if err != nil {
			return nil, err
		}
		script := fmt.Sprintf("Promise.resolve(site.%s(...%s)).then((v) => JSON.stringify(v === undefined ? null : v))", call, list)
		ctx, cancel := context.WithTimeout(window, 4*patience)
		defer cancel()
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		return json.RawMessage(v), err
	}}
}
