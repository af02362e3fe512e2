package natslink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/roomtide/roomtide/chat"
)

// The oldest servers that are taken: none older was tried, and the limit is lowered
// more easily than raised.
const (
	minMajor = 2
	minMinor = 15
)

func isSlow(err error) bool { return errors.Is(err, nats.ErrSlowConsumer) }

// explain says why no server can be used. nats.go returns the reason of the server
// that it tried last, and none for those that refuse connections.
func explain(err error, urls []string) error {
	e := &chat.Error{Kind: chat.Unavailable, Op: "natslink.dial", Err: err}
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		e.Kind, e.Text = chat.Unauthed, "the NATS server refuses the user, the password or the credentials; check [nats]"
	case isTLS(err):
		e.Text = "TLS to the NATS server failed; check nats.tls_ca, nats.tls_cert and nats.tls_key, and that the certificate names the host of nats.url"
	case badFile(err):
		e.Kind, e.Text = chat.Invalid, "the files for NATS cannot be used"
	default:
		e.Text = "no NATS server answers at " + hosts(urls) + "; check nats.url and that one is running there"
	}
	return e
}

func isTLS(err error) bool {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.Is(err, nats.ErrTLS) || errors.Is(err, nats.ErrSecureConnRequired) || errors.Is(err, nats.ErrSecureConnWanted) ||
		errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host)
}

// badFile tells the errors of nats.go about credentials that it reads when it
// connects; they have no type.
func badFile(err error) bool {
	return strings.Contains(err.Error(), "credentials") || strings.Contains(err.Error(), "nkey") || strings.Contains(err.Error(), "no such file")
}

// hosts are the addresses without what is secret in them.
func hosts(urls []string) string {
	shown := make([]string, len(urls))
	for i, text := range urls {
		shown[i] = "an address that is no URL"
		if u, err := url.Parse(text); err == nil {
			shown[i] = u.Redacted()
		}
	}
	return strings.Join(shown, ", ")
}

func checkVersion(version string) error {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if err == nil && err2 == nil && (a > minMajor || a == minMajor && b >= minMinor) {
		return nil
	}
	return chat.E(chat.Invalid, "the NATS server is version "+strconv.Quote(version)+"; Roomtide needs 2.15 or newer")
}
