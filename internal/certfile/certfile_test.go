package certfile

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/roomtide/roomtide/internal/testcert"
	"github.com/roomtide/roomtide/internal/testlog"
)

func serial(c *tls.Certificate) *big.Int { return c.Leaf.SerialNumber }

// A renewed certificate is used; while the files do not fit together, the one of before
// is, and the log says so once.
func TestRenewal(t *testing.T) {
	log := &testlog.Buffer{}
	authority, dir := testcert.New(t), t.TempDir()
	files := authority.Issue(dir, "127.0.0.1")
	p, err := Load(files.Cert, files.Key, log.Logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	first := serial(p.Get())
	authority.Issue(dir, "127.0.0.1")
	second := serial(p.Get())
	if second.Cmp(first) == 0 {
		t.Error("the first certificate is used on")
	}
	if err := os.WriteFile(files.Cert, []byte("half of a"), 0o600); err != nil {
		t.Fatal(err)
	}
	var gets sync.WaitGroup
	for range 10 {
		gets.Go(func() {
			if serial(p.Get()).Cmp(second) != 0 {
				t.Error("not the last one that was sound")
			}
		})
	}
	gets.Wait()
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if serial(p.Get()).Cmp(second) != 0 {
		t.Error("without a key there is another certificate")
	}
	authority.Issue(dir, "127.0.0.1")
	if serial(p.Get()).Cmp(second) == 0 {
		t.Error("the third certificate is not used")
	}
}

func TestLoadRefuses(t *testing.T) {
	a, b := testcert.New(t).Issue(t.TempDir(), "a"), testcert.New(t).Issue(t.TempDir(), "b")
	for _, files := range [][2]string{{a.Cert, b.Key}, {a.Cert, a.Key + "x"}, {a.Key, a.Cert}} {
		if _, err := Load(files[0], files[1], nil); err == nil {
			t.Errorf("%v is taken", files)
		}
	}
}

// A listener shows the renewed certificate to the next client.
func TestListener(t *testing.T) {
	authority, dir := testcert.New(t), t.TempDir()
	files := authority.Issue(dir, "127.0.0.1")
	p, err := Load(files.Cert, files.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Listener = tls.NewListener(srv.Listener, p.Server())
	srv.Start()
	defer srv.Close()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(files.CA)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	shown := func() *big.Int {
		conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber
	}
	first := shown()
	authority.Issue(dir, "127.0.0.1")
	if shown().Cmp(first) == 0 {
		t.Error("the first certificate is shown after it was renewed")
	}
}
