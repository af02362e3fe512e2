package embednats

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/internal/testcert"
	"github.com/roomtide/roomtide/internal/testlog"
	"github.com/roomtide/roomtide/internal/testprocess"
)

// A server tells its name without the secret, over TLS to certificates of its authority
// alone; it notes no error that an operator would look into.
func TestAsk(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			log := &testlog.Buffer{}
			cfg := site(t, log)["b"]
			cfg.Log = log.Logger(slog.LevelError)
			if secure {
				files := testcert.New(t).Issue(t.TempDir(), host(t, cfg))
				cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = files.CA, files.Cert, files.Key
			}
			s := start(t, cfg)
			defer s.Close()
			asking := cfg
			asking.Secret = ""
			if told, err := Ask(t.Context(), asking, cfg.Listen); err != nil || told.Name != "b" || told.Version == "" {
				t.Errorf("it tells %+v, %v", told, err)
			}
			if secure {
				asking.TLSCA, asking.TLSCert, asking.TLSKey = "", "", ""
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if told, err := Ask(ctx, asking, cfg.Listen); err == nil {
					t.Errorf("a stranger is told %+v", told)
				}
			} else if log.String() != "" {
				t.Errorf("it is an error: %s", log.String())
			}
		})
	}
}

// Why a certificate is refused is told in words, on either side.
func TestRefused(t *testing.T) {
	ours, theirs := testcert.New(t), testcert.New(t)
	cfg := site(t, &testlog.Buffer{})["b"]
	plain := start(t, cfg)
	defer plain.Close()
	addr := cfg.Listen
	cfg.Dir, cfg.Listen = t.TempDir(), testprocess.FreeAddr(t)
	files := ours.Issue(t.TempDir(), host(t, cfg))
	cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = files.CA, files.Cert, files.Key
	secure := start(t, cfg)
	defer secure.Close()
	stray := theirs.Issue(t.TempDir(), host(t, cfg))
	for _, tt := range []struct{ name, address, ca, want string }{
		{"an authority that is unknown here", cfg.Listen, theirs.File, "its certificate is refused here: x509: certificate signed by unknown authority"},
		{"one that is unknown there", cfg.Listen, ours.File, "it refuses the certificate of this node: tls: "},
		{"no TLS there", addr, theirs.File, "it speaks no TLS"},
	} {
		ask := cfg
		ask.TLSCA, ask.TLSCert, ask.TLSKey = tt.ca, stray.Cert, stray.Key
		_, err := Ask(t.Context(), ask, tt.address)
		if got := Refused(err); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if got := Refused(net.ErrClosed); got != "" {
		t.Errorf("another error: %q", got)
	}
}

// What is no server, says nothing, or is not there, is an error in good time.
func TestAskOthers(t *testing.T) {
	if _, err := Ask(t.Context(), Config{}, testprocess.FreeAddr(t)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("where nothing listens: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	says := make(chan string, 2)
	says <- "220 mail.example.org ESMTP\r\n"
	says <- ""
	done := make(chan struct{})
	go func() {
		defer close(done)
		for text := range says {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(text)) // the reader may have gone
			defer conn.Close()
		}
	}()
	if _, err := Ask(t.Context(), Config{}, ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "no NATS server") {
		t.Errorf("another program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, Config{}, ln.Addr().String()); err == nil {
		t.Error("a program that says nothing is waited for")
	}
	close(says)
	<-done
}

func FuzzInfo(f *testing.F) {
	for _, line := range []string{`INFO {"server_name":"a","version":"2.15.2"}`, "INFO {}", "INFO", "-ERR 'no'", ""} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if told, err := parseInfo(line); err == nil && told.Name == "" {
			t.Errorf("%q has no name, and is taken", line)
		}
	})
}
