package doctor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/server"
)

func settings(t *testing.T) *config.Config {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.Listen = testprocess.FreeAddr(t)
	return cfg
}

// running starts a node.
func running(t *testing.T, cfg *config.Config) {
	t.Helper()
	s, err := server.Open(t.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

// want fails unless there is a finding: "level section/check: text -> help", as a
// regular expression.
func want(t *testing.T, fs []Finding, patterns ...string) {
	t.Helper()
	var lines []string
	for _, f := range fs {
		lines = append(lines, fmt.Sprintf("%s %s/%s: %s -> %s", f.Level, f.Section, f.Check, f.Text, f.Help))
	}
	all := strings.Join(lines, "\n")
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)^" + p).MatchString(all) {
			t.Errorf("no finding is like %q:\n%s", p, all)
		}
	}
}

// fails are the checks that failed.
func fails(fs []Finding) string {
	var names []string
	for _, f := range fs {
		if f.Level == Fail {
			names = append(names, f.Section+"/"+f.Check)
		}
	}
	return strings.Join(names, " ")
}

// examine leaves out the machine, which is another one for each run of the test.
func examine(t *testing.T, o Options) (fs []Finding) {
	t.Helper()
	o.Version = "v1"
	for _, f := range Examine(t.Context(), o) {
		if f.Section != sectionMachine {
			fs = append(fs, f)
		}
	}
	return fs
}

func TestBeforeTheFirstStart(t *testing.T) {
	cfg := settings(t)
	fs := examine(t, Options{Config: cfg})
	want(t, fs, `warn files/data dir: there is no .* -> start the server once`, `warn databases/control.db: there is no database yet .* -> start`, `warn node/running: `)
	if Worst(fs) != Warn {
		t.Errorf("it is %s", Worst(fs))
	}
	if _, err := os.Stat(cfg.DataDir); err == nil {
		t.Error("the data dir was made")
	}
}

func TestARunningNode(t *testing.T) {
	cfg := settings(t)
	cfg.Origins, cfg.TrustedProxies = []string{"https://www.example.org", "http://shop.example.org"}, []string{"10.0.0.0/8"}
	running(t, cfg)
	fs := examine(t, Options{Config: cfg})
	want(t, fs, `ok node/running: at http://`, `ok node/settings: `, `ok databases/control.db: .* schema \d+`, `ok databases/shard-3.db: `, `ok files/token.key: .* readable by \w+ `,
		`ok settings/guests: not welcome`, `ok settings/trusted_proxies: 10.0.0.0/8`, `warn settings/origins: http://shop.example.org .* -> write https://shop.example.org`)
	if Worst(fs) != Warn {
		t.Errorf("it is %s", Worst(fs))
	}

	other := *cfg
	other.MaxConnections = 5
	other.Guests = "off"
	want(t, examine(t, Options{Config: &other}), `warn node/settings: the node runs with other settings than these: guests is "auto", max_connections is 100000 -> restart it`)

	stranger := *cfg
	stranger.DataDir = filepath.Join(t.TempDir(), "data")
	if _, err := server.Secret(&stranger, true); err != nil {
		t.Fatal(err)
	}
	want(t, examine(t, Options{Config: &stranger}), `fail node/running: .* not the node of this data dir \(404 Not Found\) -> another program, or a node with another data dir`)
}

// A newer node than the program, or an older one, is worth a word.
func TestVersions(t *testing.T) {
	cfg := settings(t)
	running(t, cfg)
	fs := Examine(t.Context(), Options{Config: cfg, Version: "v2"})
	want(t, fs, `warn node/version: the running node is v1, and this program v2 -> restart`)
}

func TestDatabasesThatAreNotThere(t *testing.T) {
	cfg := settings(t)
	s, err := server.Open(t.Context(), cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.Remove(filepath.Join(cfg.DataDir, "shard-2.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "shard-1.db"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs := examine(t, Options{Config: cfg})
	want(t, fs, `fail databases/shard-1.db: .*not a SQLite database -> `, `fail databases/shard-2.db: .*no such file .* -> put it back from a backup`, `ok databases/shard-0.db`)
}

func TestSettingsThatAreWrong(t *testing.T) {
	cfg := settings(t)
	cfg.Guests = "perhaps"
	fs := examine(t, Options{Config: cfg})
	want(t, fs, `fail settings/guests: "perhaps" is none of its words -> write one of auto, on, off`)
	want(t, Unreadable(config.Problems{{Where: "roomtide.toml:3", Text: "there is no setting x", Fix: "look"}}), `fail settings/roomtide.toml:3: there is no setting x -> look`)
}

func TestKeySet(t *testing.T) {
	answer := `{"keys":[{"kty":"RSA"}]}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	defer srv.Close()
	cfg := settings(t)
	cfg.Auth.JWKSURL, cfg.Auth.Audience = srv.URL, "chat"
	want(t, examine(t, Options{Config: cfg}), `ok settings/auth.jwks_url: 1 key`)
	answer = "<html>"
	want(t, examine(t, Options{Config: cfg}), `fail settings/auth.jwks_url: the answer has no keys \(200 OK\) -> without`)
	srv.Close()
	want(t, examine(t, Options{Config: cfg}), `fail settings/auth.jwks_url: .*refused -> without`)
}

// proxy is a web server in front of the node, with its faults.
type proxy struct {
	host      string // what it asks for, "" for what it was asked
	path      string // prefix of its address, taken away
	silent    bool   // says nothing about its client
	real      bool   // says it in X-Real-IP alone
	noUpgrade bool
	buffers   bool
	decodes   bool // %2F in a path
}

func (p proxy) start(t *testing.T, cfg *config.Config, secure bool) (*httptest.Server, string) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: cfg.Listen}
	rp := &httputil.ReverseProxy{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		if p.host != "" {
			r.Out.Host = p.host
		}
		r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, p.path), strings.TrimPrefix(r.In.URL.RawPath, p.path)
		if p.decodes {
			r.Out.URL.RawPath = ""
		}
		if !p.silent && !p.real {
			r.SetXForwarded()
		}
		if p.real {
			r.Out.Header.Set("X-Real-IP", "203.0.113.9")
		}
		if p.noUpgrade {
			r.Out.Header.Del("Upgrade")
			r.Out.Header.Del("Connection")
		}
	}, ModifyResponse: func(r *http.Response) error {
		if p.buffers && strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
			all, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(all)))
			return err
		}
		return nil
	}}
	srv := httptest.NewUnstartedServer(rp)
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, srv.URL + p.path
}

// The way through a proxy that does everything right, and through others that do not.
func TestTheWayThroughProxies(t *testing.T) {
	trusted := settings(t)
	trusted.Guests, trusted.TrustedProxies = "off", []string{"127.0.0.1/32"}
	running(t, trusted)
	open := settings(t) // as "roomtide serve" without settings
	running(t, open)
	site := settings(t)
	site.Guests, site.Origins = "on", []string{"http://127.0.0.1:1"}
	running(t, site)

	for _, tt := range []struct {
		name  string
		proxy proxy
		cfg   *config.Config
		fails string
		want  []string
	}{
		{"all is right", proxy{path: "/chat"}, trusted, "", []string{
			`ok public address/reached`, `ok public address/origin`, `ok public address/proxy: the proxy at 127.0.0.1 is trusted, and says that the client is 127.0.0.1`,
			`ok public address/guests: clients need a token`, `ok public address/path`, `ok public address/websocket`, `ok public address/event stream`}},
		{"a host of its own making", proxy{host: "127.0.0.1:8080"}, trusted, "public address/origin public address/websocket", []string{
			`fail public address/origin: pages of http://127.* are refused: the node is asked for the host "127.0.0.1:8080" -> let the proxy pass on the Host header`,
			`fail public address/websocket: no WebSocket gets through: .*403`}},
		{"no header", proxy{silent: true}, trusted, "public address/proxy", []string{`fail public address/proxy: the proxy at 127.0.0.1 does not say for whom it asks`}},
		{"another header", proxy{real: true}, trusted, "public address/proxy", []string{`fail public address/proxy: the proxy at 127.0.0.1 sends X-Real-Ip, but not X-Forwarded-For`}},
		{"no upgrade", proxy{noUpgrade: true}, trusted, "public address/websocket", []string{`fail public address/websocket: .* -> let the proxy pass on the upgrade`}},
		{"events held back", proxy{buffers: true}, trusted, "", []string{`warn public address/event stream: the proxy holds events back`}},
		{"paths decoded", proxy{decodes: true}, trusted, "", []string{`warn public address/path: the proxy changes %2F`}},
		{"not trusted", proxy{}, open, "public address/proxy", []string{
			`fail public address/proxy: the proxy at 127.0.0.1 is not trusted: .* -> set trusted_proxies = \["127.0.0.1/32"\]`, `ok public address/guests: clients need a token`}},
		{"guests through it", proxy{}, site, "public address/proxy", []string{`warn public address/guests: anyone who reaches`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := tt.proxy.start(t, tt.cfg, false)
			fs := examine(t, Options{Config: tt.cfg, URL: address})
			want(t, fs, tt.want...)
			if got := fails(fs); got != tt.fails {
				t.Errorf("failed are %q, want %q", got, tt.fails)
			}
		})
	}
}

func TestTheWayWithoutProxy(t *testing.T) {
	cfg := settings(t)
	running(t, cfg)
	fs := examine(t, Options{Config: cfg, URL: cfg.Listen}) // without a scheme
	want(t, fs, `ok public address/proxy: none: the node sees the address 127.`, `ok public address/guests: clients on this machine may come`)
	if Worst(fs) != OK {
		t.Errorf("it is %s: %s", Worst(fs), fails(fs))
	}
}

func TestWaysThatLeadNowhere(t *testing.T) {
	cfg := settings(t)
	running(t, cfg)
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	for address, like := range map[string]string{
		"ftp://example.org":                 `fail public address/url: .* -> give the address that browsers have`,
		srv.URL:                             `fail public address/reached: .*not the node of this data dir \(404 Not Found\) -> let the proxy pass on`,
		"http://" + testprocess.FreeAddr(t): `fail public address/reached: .*refused -> check that the name leads`,
	} {
		want(t, examine(t, Options{Config: cfg, URL: address}), like)
	}
}

// The certificate is judged as a browser does.
func TestTheWayOverHTTPS(t *testing.T) {
	cfg := settings(t)
	cfg.Guests, cfg.TrustedProxies = "off", []string{"127.0.0.1/32"}
	running(t, cfg)
	srv, address := proxy{}.start(t, cfg, true)
	want(t, examine(t, Options{Config: cfg, URL: address}), `fail public address/certificate: .* -> browsers refuse it too`)
	fs := examine(t, Options{Config: cfg, URL: address, HTTP: srv.Client()})
	want(t, fs, `ok public address/certificate: good until 20`, `ok public address/websocket`)
	if got := fails(fs); got != "" {
		t.Errorf("failed are %q", got)
	}
}
