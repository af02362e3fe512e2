package readme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/markdown"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// The blocks of a README, in their order. Those that no function takes here are for a
// browser (js, html: test/browser) or a drawing (text).
const (
	blockRun = iota
	blockSay
	blockWebSocket
	blockSocketIO
	blockDrawing
	blockServe
	blockNginx
	blockKey
	blockSign
	blockToken
	blockBackEnd
	blockPage
)

const languages = "sh sh js js text sh nginx sh php php sh html"

func TestReadmesRunAsPrinted(t *testing.T) {
	for _, file := range []string{"README.md", "README.zh-CN.md"} {
		t.Run(file, func(t *testing.T) {
			blocks, err := markdown.Blocks(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			var langs, texts []string
			for _, b := range blocks {
				langs, texts = append(langs, b.Lang), append(texts, b.Text)
			}
			if got := strings.Join(langs, " "); got != languages {
				t.Fatalf("the blocks are %q, and this test runs %q", got, languages)
			}
			m := newMachine(t, testprocess.FreeAddr(t))
			tryIt(t, m, texts)
			startForOrigin(t, m, readFile(t, filepath.Join(root, file)))
			putIntoSite(t, m, texts)
		})
	}
}

// tryIt is the section "Try it".
func tryIt(t *testing.T, m *machine, blocks []string) {
	node := m.start(blocks[blockRun])
	m.ready(node)
	say := m.start(blocks[blockSay])
	say.until("script: Hello from curl")
	m.run(strings.ReplaceAll(strings.Split(blocks[blockSay], "\n\n")[0], "Hello from curl", "and again")) // the reader is there
	say.until("script: and again")
	say.stop(syscall.SIGINT)

	node.stop(syscall.SIGKILL) // "Now kill -9 the server and start it again."
	node = m.start(blocks[blockRun])
	m.ready(node)
	status, text := request(t, http.DefaultClient, http.MethodGet, "http://"+m.addr+"/v1/rooms/lobby/messages", "Roomtide-User", "script")
	if status != http.StatusOK || !strings.Contains(text, "Hello from curl") || !strings.Contains(text, "and again") {
		t.Errorf("after kill -9: %d %s", status, text)
	}
	node.stop(syscall.SIGINT)
}

// startForOrigin runs the command in the text that lets pages of another address in.
func startForOrigin(t *testing.T, m *machine, readme string) {
	command := regexp.MustCompile("`(make run ARGS=\"--origins ([^\"`]+)\")`").FindStringSubmatch(readme)
	if command == nil {
		t.Fatal("the text has no command that starts the node for an origin")
	}
	node := m.start(command[1])
	m.ready(node)
	for origin, want := range map[string]bool{command[2]: true, "https://stranger.example": false} {
		out := m.run("curl -si http://127.0.0.1:8080/v1/rooms/lobby/messages -H 'Roomtide-User: script' -H 'Origin: " + origin + "' || true")
		if got := strings.Contains(out, "\r\nAccess-Control-Allow-Origin: "+origin+"\r\n"); got != want {
			t.Errorf("a page of %s may read the answer: %v\n%s", origin, got, out)
		}
	}
	node.stop(syscall.SIGINT)
}

// putIntoSite is the section "Put it into your site": the steps, and what they are for.
func putIntoSite(t *testing.T, m *machine, blocks []string) {
	node := m.start(blocks[blockServe])
	m.ready(node)
	browser := m.startNginx(t, blocks[blockNginx])
	m.run(blocks[blockKey])
	m.write("shop/roomtide.php", blocks[blockSign])
	m.write("shop/public/chat-token.php", blocks[blockToken])
	if out := m.run(blocks[blockBackEnd]); !strings.Contains(out, `"closed":0`) {
		t.Errorf("the back end was answered %s", out)
	}
	token := pageToken(t, m)

	const site = "https://www.example.org/chat"
	user := func(method, path string) (status int, body string) {
		return request(t, browser, method, site+path, "Authorization", "Bearer "+token)
	}
	if status, body := user(http.MethodPut, "/v1/rooms/shop/members/4711"); status/100 != 2 {
		t.Errorf("the user of the token joins: %d %s", status, body)
	}
	if status, body := user(http.MethodGet, "/v1/rooms/shop/messages"); status != http.StatusOK || !strings.Contains(body, "Your order has left.") {
		t.Errorf("the user of the token reads: %d %s", status, body)
	}
	if status, body := user(http.MethodGet, "/v1/rooms/shop/members"); status != http.StatusOK ||
		!strings.Contains(body, `Jürgen \"J\" Ö.`) || !strings.Contains(body, `"ann"`) || !strings.Contains(body, `"moderator"`) {
		t.Errorf("the members: %d %s", status, body)
	}
	if status, _ := request(t, browser, http.MethodGet, site+"/v1/rooms/shop/messages", "", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	for _, file := range []string{"", "static/roomtide.js"} {
		if status, _ := request(t, browser, http.MethodGet, site+"/"+file, "", ""); status != http.StatusOK {
			t.Errorf("/chat/%s: %d", file, status)
		}
	}
	node.stop(syscall.SIGTERM)
}

// startNginx starts nginx as https://www.example.org with a location, and leads curl to
// it. It returns a client that finds it as well.
func (m *machine) startNginx(t *testing.T, location string) *http.Client {
	t.Helper()
	dir, listen := t.TempDir(), testprocess.FreeAddr(t)
	roots := writeCertificate(t, dir)
	conf := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
    server {
        listen %[2]s ssl;
        server_name www.example.org;
        ssl_certificate %[1]s/cert.pem;
        ssl_certificate_key %[1]s/key.pem;
        root %[3]s/shop/public;
%[4]s    }
}
`, dir, listen, m.home, strings.ReplaceAll(location, "127.0.0.1:8080", m.addr))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	web := m.start(fmt.Sprintf("PATH=$PATH:/usr/sbin:/usr/bin exec nginx -c %s -p %s -e stderr", file, dir))
	waitListening(t, web, listen)
	m.write(".curlrc", fmt.Sprintf("connect-to = \"www.example.org:443:%s\"\ncacert = \"%s/cert.pem\"\n", listen, dir))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listen)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func waitListening(t *testing.T, j *job, addr string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-j.exited:
			t.Fatalf("has ended: %s", j.out.String())
		case <-deadline:
			t.Fatalf("does not listen: %s", j.out.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// writeCertificate makes a certificate for www.example.org.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"cert.pem", "CERTIFICATE", der}, {"key.pem", "PRIVATE KEY", private}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(filepath.Join(dir, f.name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(text) // of the certificate; the key is none
	}
	return roots
}

// pageToken asks the site for a token, as its page does, before and after signing in,
// and when PHP cannot read the key.
func pageToken(t *testing.T, m *machine) (token string) {
	t.Helper()
	// The site's own sign-in, for the test.
	m.write("shop/public/login.php", "<?php session_start(); $_SESSION['user'] = 4711; $_SESSION['name'] = 'Jürgen \"J\" Ö.';\n")
	listen := testprocess.FreeAddr(t)
	php := m.start(fmt.Sprintf("PATH=$PATH:/usr/bin exec php -d display_errors=0 -d session.save_path=%[1]s -S %[2]s -t %[1]s/shop/public", m.home, listen))
	waitListening(t, php, listen)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser, base := &http.Client{Jar: jar}, "http://"+listen
	defer browser.CloseIdleConnections()
	if status, body := request(t, browser, http.MethodGet, base+"/chat-token.php", "", ""); status != http.StatusUnauthorized || body != "" {
		t.Errorf("a token before signing in: %d %s", status, body)
	}
	request(t, browser, http.MethodGet, base+"/login.php", "", "")
	status, token := request(t, browser, http.MethodGet, base+"/chat-token.php", "", "")
	if status != http.StatusOK || strings.Count(token, ".") != 2 {
		t.Fatalf("a token: %d %s\n%s", status, token, php.out.String())
	}

	key := filepath.Join(m.home, "shop/roomtide.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if status, body := request(t, browser, http.MethodGet, base+"/chat-token.php", "", ""); status != http.StatusInternalServerError || body != "" {
		t.Errorf("a token without the key: %d %s", status, body)
	}
	php.until("PHP cannot read roomtide.key")
	return token
}

// "make test", which runs these tests, asks for what they use, checks, and runs all.
func TestMakeTest(t *testing.T) {
	m := newMachine(t, testprocess.FreeAddr(t))
	log := filepath.Join(m.home, "log")
	archive := goArchive(t, `echo "PROGRAM $*" >>`+log+`; case "$*" in "env GOVERSION") echo go1.26.8;; esac`)
	pin(t, m.tree, archive)
	stubs := filepath.Join(m.home, "stubs")
	for _, name := range []string{"gcc", "chromium", "node", "npm", "php", "composer", "nginx", "apache2", "caddy", "haproxy", "systemd-analyze", "redis-server", "promtool", "java"} {
		text := ""
		if name == "php" {
			text = "#!/bin/sh\necho redis curl pdo_sqlite pdo_mysql pdo_pgsql | tr ' ' '\\n'\n" // asked for its extensions
		}
		m.write("stubs/"+name, text)
		if err := os.Chmod(filepath.Join(stubs, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wordpress := filepath.Join(m.tree, ".tools", "wordpress", "usr", "share", "wordpress")
	if err := os.MkdirAll(wordpress, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(wordpress, "wp-config.php"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, "GO_DL_URL="+serveArchive(t, archive).URL+"/dl")
	m.env[0] += ":" + stubs
	m.run("make test")
	for _, want := range []string{"gofmt -l ", "go vet ./...\n", "go tool staticcheck ./...\n", "go test -race -shuffle=on -timeout "} {
		if got := readFile(t, log); !strings.Contains(got, want) {
			t.Errorf("make test does not run %q, but:\n%s", want, got)
		}
	}
}
