package natslink

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testnats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func dial(t *testing.T, cfg Config) *Conn {
	t.Helper()
	c, err := Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNames(t *testing.T) {
	s := testnats.Start(t, 1, nil)
	c := dial(t, Config{URLs: s.URLs(0), Node: "node-7"})
	if name := c.NATS().Opts.Name; name != "roomtide node-7" {
		t.Errorf("the connection is called %q", name)
	}
}

// The connection moves to another server and back, tells of it, and publishing without
// a server fails at once.
func TestReconnects(t *testing.T) {
	s := testnats.Start(t, 3, nil)
	var log testlog.Buffer
	reg := prometheus.NewRegistry()
	c := dial(t, Config{URLs: s.URLs(1), Node: "a", Log: log.Logger(slog.LevelInfo), Registerer: reg})
	if c.NATS().ConnectedUrl() != s.URL(1) {
		t.Errorf("connected to %s, not to the first address", c.NATS().ConnectedUrl())
	}
	again := make(chan struct{}, 10)
	c.OnReconnect(func() { again <- struct{}{} })
	lost := c.NATS().StatusChanged(nats.RECONNECTING)
	await := func(ch <-chan struct{}) {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(patience):
			t.Fatalf("nothing happened; log: %s", &log)
		}
	}
	s.Stop(1)
	await(again)
	<-lost
	s.Stop(0)
	s.Stop(2)
	for c.NATS().Status() == nats.CONNECTED {
		select {
		case <-lost:
		case <-again: // it was on the other one for a moment
		case <-time.After(patience):
			t.Fatal("a connection without a server")
		}
	}
	if err := c.NATS().Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("published without a server: %v", err)
	}
	if v := c.connected(); v != 0 {
		t.Errorf("connected = %v without a server", v)
	}
	for deadline := time.Now().Add(patience); c.Away() == 0; time.Sleep(time.Millisecond) { // it is told a moment later
		if time.Now().After(deadline) {
			t.Fatal("without a server, it is not away")
		}
	}
	s.Restart(2)
	await(again)
	if away := c.Away(); away != 0 {
		t.Errorf("connected again, it is away for %v", away)
	}
	if err := c.NATS().FlushTimeout(patience); err != nil {
		t.Error(err)
	}
	if c.connected() != 1 || testutil.ToFloat64(c.reconnects) < 2 {
		t.Errorf("connected %v, reconnects %v", c.connected(), testutil.ToFloat64(c.reconnects))
	}
	for _, want := range []string{"connected to NATS", "is lost", "connected to NATS again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 3 {
		t.Errorf("%d metrics, %v", n, err)
	}
	c.NATS().RemoveStatusListener(lost)
}

func TestCountsSlowConsumers(t *testing.T) {
	s := testnats.Start(t, 1, nil)
	var log testlog.Buffer
	c := dial(t, Config{URLs: s.URLs(0), Log: log.Logger(slog.LevelInfo)})
	sub, err := c.NATS().SubscribeSync("x")
	if err == nil {
		err = sub.SetPendingLimits(2, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan struct{})
	report := c.NATS().Opts.AsyncErrorCB
	c.NATS().SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		report(nc, sub, err)
		close(slow)
	})
	for range 5 {
		if err := c.NATS().Publish("x", nil); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-slow:
	case <-time.After(patience):
		t.Fatal("no report")
	}
	if testutil.ToFloat64(c.slow) != 1 || !strings.Contains(log.String(), "some are lost") || !strings.Contains(log.String(), "subject=x") {
		t.Errorf("counted %v, log %s", testutil.ToFloat64(c.slow), &log)
	}
}

func TestRefused(t *testing.T) {
	password := testnats.Start(t, 1, func(o *server.Options) { o.Username, o.Password = "u", "hunter2" })
	cert, ca := certificate(t)
	secure := testnats.Start(t, 1, func(o *server.Options) {
		o.TLSConfig, o.TLSTimeout = &tls.Config{Certificates: []tls.Certificate{cert}}, 5
	})
	tlsURL := []string{strings.Replace(secure.URL(0), "nats://", "tls://", 1)}
	plain := testnats.Start(t, 1, nil)
	for _, tt := range []struct {
		name string
		cfg  Config
		kind chat.Kind // Internal: it connects
		text string
	}{
		{"password", Config{URLs: password.URLs(0), User: "u", Password: "hunter2"}, chat.Internal, ""},
		{"wrong password", Config{URLs: password.URLs(0), User: "u", Password: "hunter3"}, chat.Unauthed, "refuses the user"},
		{"no password", Config{URLs: password.URLs(0)}, chat.Unauthed, "refuses the user"},
		{"nothing there", Config{URLs: []string{closedPort(t)}}, chat.Unavailable, "no NATS server answers at nats://127.0.0.1:"},
		{"the second one is there", Config{URLs: []string{closedPort(t), plain.URL(0)}}, chat.Internal, ""},
		{"silence", Config{URLs: []string{fake(t, "")}, Timeout: 200 * time.Millisecond}, chat.Unavailable, "no NATS server answers"},
		{"another protocol", Config{URLs: []string{fake(t, "HTTP/1.1 400 Bad Request\r\n\r\n")}}, chat.Unavailable, "no NATS server answers"},
		{"TLS", Config{URLs: tlsURL, TLSCA: ca}, chat.Internal, ""},
		{"TLS that the server asks for", Config{URLs: secure.URLs(0), TLSCA: ca}, chat.Internal, ""},
		{"TLS without its CA", Config{URLs: tlsURL}, chat.Unavailable, "TLS to the NATS server failed"},
		{"TLS that is not there", Config{URLs: []string{strings.Replace(plain.URL(0), "nats://", "tls://", 1)}}, chat.Unavailable, "TLS to the NATS server failed"},
		{"no CA file", Config{URLs: tlsURL, TLSCA: ca + "x"}, chat.Invalid, "files"},
		{"no certificate file", Config{URLs: tlsURL, TLSCA: ca, TLSCert: ca + "x", TLSKey: ca}, chat.Invalid, "files"},
		{"no credentials", Config{URLs: password.URLs(0), Credentials: ca + "x"}, chat.Invalid, "files"},
		{"an old server", Config{URLs: []string{fake(t, oldServer)}}, chat.Invalid, `"2.9.25"; Roomtide needs 2.15`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Dial(tt.cfg)
			if c != nil {
				c.Close()
			}
			if tt.kind == chat.Internal {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if chat.KindOf(err) != tt.kind || err == nil || !strings.Contains(chat.Public(err).Text, tt.text) {
				t.Errorf("kind %v: %v", chat.KindOf(err), err)
			} else if strings.Contains(err.Error(), "hunter") {
				t.Errorf("a password is shown: %v", err)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{"2.15.2": true, "2.15.0-RC.1": true, "2.100.0": true, "3.0.0": true, "2.14.9": false, "1.99.0": false, "": false, "x.y": false} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}

const oldServer = `INFO {"server_id":"X","version":"2.9.25","proto":1,"max_payload":1048576,"headers":true}` + "\r\n"

// fake returns the address of a server that says one thing, and PONG to a ping.
func fake(t *testing.T, says string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, says)
		for lines := bufio.NewScanner(c); lines.Scan(); {
			if lines.Text() == "PING" {
				fmt.Fprint(c, "PONG\r\n")
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return "nats://" + l.Addr().String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "nats://" + l.Addr().String()
}

// certificate makes a certificate for 127.0.0.1, and the file that vouches for it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
