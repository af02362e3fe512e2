// Package certfile reads a certificate and its key from PEM files, and reads them again
// when they have changed: a certificate that was renewed is used for the next connection,
// without a restart.
package certfile

import (
	"crypto/tls"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
)

// Pair is a certificate with its key. Safe for concurrent use.
type Pair struct {
	cert, key string // files
	log       *slog.Logger
	now       atomic.Pointer[state]
}

// state is what the files have had.
type state struct {
	pair  *tls.Certificate // the last one that was sound
	files [2]fs.FileInfo   // as they were read last, sound or not
}

// Load reads both files. What goes wrong later is written to log, which may be nil.
func Load(cert, key string, log *slog.Logger) (*Pair, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Pair{cert: cert, key: key, log: log}
	files, err := p.look() // before they are read: a change meanwhile is seen by the first Get
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	p.now.Store(&state{&pair, files})
	return p, nil
}

// Get returns what the files have. While they cannot be read, or do not belong together
// because one of them is not written yet, that is what they had before.
func (p *Pair) Get() *tls.Certificate {
	was := p.now.Load()
	files, err := p.look()
	if err != nil || same(was.files, files) {
		return was.pair
	}
	is := &state{was.pair, files}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err == nil {
		is.pair = &pair
	}
	switch {
	case !p.now.CompareAndSwap(was, is): // another connection has noticed it too
	case err != nil:
		p.log.Warn("a certificate has changed and cannot be used, the one of before is used on: both files have to be PEM, and belong together", "cert", p.cert, "key", p.key, "err", err)
	default:
		p.log.Info("a certificate is read anew", "cert", p.cert, "until", pair.Leaf.NotAfter)
	}
	return is.pair
}

// Server is the configuration of a listener that shows the certificate.
func (p *Pair) Server() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.Get(), nil },
	}
}

// Mutual is Server for connections whose ends both show a certificate: it is shown to
// those who are connected to as well.
func (p *Pair) Mutual() *tls.Config {
	c := p.Server()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.Get(), nil }
	return c
}

func (p *Pair) look() (now [2]fs.FileInfo, err error) {
	for i, file := range []string{p.cert, p.key} {
		if now[i], err = os.Stat(file); err != nil {
			return now, err
		}
	}
	return now, nil
}

func same(a, b [2]fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}
