package embednats

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
)

// Told is what a server tells all that connect to its Listen, before it asks for the secret.
type Told struct {
	Name    string `json:"server_name"`
	Version string `json:"version"`
}

const maxInfo = 32 << 10 // of the line by which a server begins

// Ask connects to the Listen of a server, with the certificate of cfg if there is one, and
// returns what it tells. It sends nothing, and changes nothing there.
func Ask(ctx context.Context, cfg Config, address string) (Told, error) {
	t, err := cfg.tls()
	if err != nil {
		return Told{}, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return Told{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if t != nil {
		if t.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return Told{}, err
		}
		conn = tls.Client(conn, t)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxInfo)).ReadBytes('\n')
	if err != nil && ctx.Err() != nil {
		return Told{}, ctx.Err()
	}
	if err != nil {
		return Told{}, err
	}
	return parseInfo(line)
}

// Refused says in words why two servers do not take each other's certificates, "" if err is
// about something else.
func Refused(err error) string {
	var theirs *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &theirs):
		return "its certificate is refused here: " + theirs.Err.Error()
	case errors.As(err, &plain):
		return "it speaks no TLS, and this node does"
	case errors.As(err, &op) && op.Op == "remote error": // an alert
		return "it refuses the certificate of this node: " + op.Err.Error()
	}
	return ""
}

// parseInfo reads the line by which a server begins.
func parseInfo(line []byte) (told Told, err error) {
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok || json.Unmarshal(text, &told) != nil || told.Name == "" {
		return Told{}, errors.New("what answers there is no NATS server")
	}
	return told, nil
}
