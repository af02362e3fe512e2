package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// KeyConfig is a key of the application: a secret for HS256, a public key for the
// other algorithms.
type KeyConfig struct {
	KID    string // empty: tries every token of its algorithm
	Alg    string // HS256, RS256, ES256 or EdDSA
	Secret []byte // HS256, at least 32 bytes
	PEM    string // the others: a PEM block "PUBLIC KEY" or "RSA PUBLIC KEY"
}

// key is a key that may sign tokens, with the one algorithm it may sign with.
type key struct {
	kid    string
	alg    string
	verify any  // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	own    bool // the server's own secret
}

// key checks the configuration of a key. Errors name the key, never the secret.
func (c KeyConfig) key() (key, error) {
	bad := func(format string, args ...any) (key, error) {
		return key{}, chat.E(chat.Invalid, fmt.Sprintf("key %q: ", c.KID)+fmt.Sprintf(format, args...))
	}
	if !slices.Contains(algorithms, c.Alg) {
		return bad("alg %q is not one of HS256, RS256, ES256, EdDSA", c.Alg)
	}
	if c.Alg == "HS256" {
		if c.PEM != "" || len(c.Secret) < 32 {
			return bad("HS256 needs a secret of at least 32 bytes")
		}
		return key{kid: c.KID, alg: c.Alg, verify: slices.Clone(c.Secret)}, nil
	}
	block, _ := pem.Decode([]byte(c.PEM))
	if block == nil || len(c.Secret) > 0 {
		return bad("%s needs a public key in PEM", c.Alg)
	}
	var (
		pub any
		err error
	)
	switch block.Type {
	case "PUBLIC KEY":
		pub, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		pub, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return bad("a PEM block %q is not a public key", block.Type)
	}
	if err != nil {
		return bad("not a public key")
	}
	if alg := algorithmOf(pub); alg != c.Alg {
		return bad("the public key is not one for %s", c.Alg)
	}
	return key{kid: c.KID, alg: c.Alg, verify: pub}, nil
}

// algorithmOf returns the algorithm that a public key is for, empty if it is not
// supported, too weak or too large.
func algorithmOf(pub any) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 8192 && k.E >= 3 && k.E&1 == 1 {
			return "RS256"
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return "ES256"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}
