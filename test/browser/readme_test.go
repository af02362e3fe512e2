package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testprocess"
)

var readmes = []string{"README.md", "README.zh-CN.md"}

// blocks returns the code blocks of a README in one language.
func blocks(t *testing.T, file, lang string) (texts []string) {
	t.Helper()
	all, err := markdown.Blocks(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if b.Lang == lang {
			texts = append(texts, b.Text)
		}
	}
	return texts
}

// site is a web site with pages below a path, whose console can be read as window.lines.
type site struct {
	*httptest.Server
	mux   *http.ServeMux
	pages int
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{mux: http.NewServeMux()}
	s.Server = httptest.NewServer(s.mux)
	t.Cleanup(s.Close)
	return s
}

// show adds a page to the site and opens it.
func (s *site) show(t *testing.T, body string) *window {
	t.Helper()
	s.pages++
	path := fmt.Sprintf("/shop/2026/item%d.html", s.pages)
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Shop</title><script>window.lines = [];",
			"console.log = (...words) => lines.push(words.join(' '));</script>\n", body)
	})
	w := openWindow(t, "site")
	w.do(chromedp.Navigate(s.URL + path))
	return w
}

func (w *window) waitLine(part string) {
	w.t.Helper()
	w.wait("line "+part+" in the console", `lines.some((line) => line.includes(`+strconv.Quote(part)+`))`)
}

// The page of step 5, on a site that has the server under /chat/, and on one that imports
// the module from the server's own address.
func TestPagesOfTheReadmes(t *testing.T) {
	for _, file := range readmes {
		pages := blocks(t, file, "html")
		if len(pages) != 1 {
			t.Fatalf("%s has %d pages, and this test opens one", file, len(pages))
		}
		for _, from := range []string{"the site's path", "the server's address"} {
			t.Run(file+" from "+from, func(t *testing.T) {
				s := startSite(t)
				n := startNode(t, "--guests", "off", "--origins", s.URL, "--trusted-proxies", "127.0.0.1/32")
				token := n.token("ann", "shop")
				s.mux.HandleFunc("GET /chat-token.php", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, token) })
				s.mux.Handle("/chat/", behind(t, n))
				page := pages[0]
				if from == "the server's address" {
					page = strings.ReplaceAll(page, "'/chat/static/", "'"+n.url()+"static/")
				}
				w := s.show(t, page)
				w.waitLine("online")
				w.waitLine("ann Hello")
				key := n.run("key", "add", "back end", "--scope", "send,read")
				n.call("POST", "v1/rooms/shop/messages", "Bearer "+key, `{"user":"shop","message":"Your order has left."}`, nil)
				w.waitLine("shop Your order has left.")
			})
		}
	}
}

// behind passes requests on as the README's proxy does.
func behind(t *testing.T, n *node) http.Handler {
	t.Helper()
	target, err := url.Parse(n.url())
	if err != nil {
		t.Fatal(err)
	}
	return http.StripPrefix("/chat", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
}

// The WebSocket and the Socket.IO sample, on a page of another origin.
func TestScriptsOfTheReadmes(t *testing.T) {
	packages := stockClient(t)
	for _, file := range readmes {
		t.Run(file, func(t *testing.T) {
			scripts := blocks(t, file, "js")
			if len(scripts) != 2 || !strings.Contains(scripts[0], "WebSocket") || !strings.Contains(scripts[1], "io.connect") {
				t.Fatalf("the scripts are %q", scripts)
			}
			s := startSite(t)
			s.mux.HandleFunc("GET /socket.io.js", func(w http.ResponseWriter, r *http.Request) {
				http.ServeFile(w, r, filepath.Join(packages, "node_modules/socket.io-client/dist/socket.io.js"))
			})
			n := startNode(t, "--origins", s.URL)
			show := func(script string) *window {
				script = strings.ReplaceAll(script, "127.0.0.1:8080", n.addr)
				return s.show(t, `<script src="/socket.io.js"></script><script>`+script+"</script>")
			}
			show(scripts[0]).waitLine(`"message":"Hello"`)
			w := show(scripts[1])
			for end := time.Now().Add(patience); ; { // until the client is in the room
				n.post("ben", "lobby", "to Socket.IO")
				if eval[bool](w, `lines.includes('to Socket.IO')`) {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("the console has %q", eval[[]string](w, `lines`))
				}
			}
		})
	}
}

// stockClient fetches the Socket.IO client from npm, as a site has it.
func stockClient(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := testprocess.InstallNPM(ctx, dir, "socket.io-client@4.8.4"); err != nil {
		t.Fatal(err)
	}
	return dir
}
