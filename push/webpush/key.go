package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/lru"
)

// Key identifies this server to push services (VAPID). Subscriptions are made for its
// public half and work with no other key.
type Key struct {
	private *ecdsa.PrivateKey
	public  string
}

// String is the public half, as browsers take it for applicationServerKey.
func (k *Key) String() string { return k.public }

// NewKey makes a key.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return keyOf(private)
}

// ParseKey reads what Secret has written, and what other tools call a VAPID private key:
// 32 bytes in base64url. Errors do not quote it.
func ParseKey(text string) (*Key, error) {
	raw, err := decode64(strings.TrimSpace(text))
	if err != nil || len(raw) != 32 {
		return nil, chat.E(chat.Invalid, "a VAPID private key is 32 bytes in base64url, which are 43 characters")
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return nil, chat.E(chat.Invalid, "that is not a VAPID private key")
	}
	return keyOf(private)
}

func keyOf(private *ecdsa.PrivateKey) (*Key, error) {
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	return &Key{private, base64.RawURLEncoding.EncodeToString(point)}, nil
}

// Secret is the private half, for the file that keeps it.
func (k *Key) Secret() (string, error) {
	raw, err := k.private.Bytes()
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// decode64 reads base64 of either alphabet, with and without padding.
func decode64(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

const (
	tokenLife = 12 * time.Hour // at most 24, by RFC 8292
	tokenLeft = time.Hour      // one with less is made anew
	origins   = 512            // for which tokens are kept
)

// tokens makes the tokens that identify the node to push services: one for each origin. Safe for
// concurrent use.
type tokens struct {
	// Set once.
	key     *Key
	subject string
	now     func() time.Time

	mu    sync.Mutex
	cache *lru.Map[string, vapidToken] // guarded by mu
}

type vapidToken struct {
	header string
	ends   time.Time
}

// authorization returns the header of that name for an origin.
func (t *tokens) authorization(origin string) (string, error) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if k, ok := t.cache.Get(origin); ok && k.ends.Sub(now) > tokenLeft && k.ends.Sub(now) <= tokenLife {
		return k.header, nil
	}
	ends := now.Add(tokenLife)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"aud": origin, "exp": ends.Unix(), "sub": t.subject,
	}).SignedString(t.key.private)
	if err != nil {
		return "", err
	}
	header := "vapid t=" + signed + ", k=" + t.key.public
	t.cache.Put(origin, vapidToken{header, ends})
	return header, nil
}

// checkSubject checks the address under which push services reach the operator.
func checkSubject(s string) error {
	u, err := url.Parse(s)
	if err == nil && (u.Scheme == "mailto" && strings.Contains(u.Opaque, "@") || u.Scheme == "https" && u.Host != "") {
		return nil
	}
	return chat.E(chat.Invalid, "Web Push needs a subject, by which push services reach you: mailto:you@example.org or https://www.example.org")
}
