package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ecJWK(kid string, k *ecdsa.PublicKey) m {
	raw, err := k.Bytes()
	if err != nil {
		panic(err)
	}
	return m{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(raw[1:33]), "y": b64(raw[33:]), "use": "sig", "alg": "ES256"}
}

func rsaJWK(kid string, k *rsa.PublicKey) m {
	return m{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

func edJWK(kid string, k ed25519.PublicKey) m {
	return m{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(k)}
}

// host is a host app that publishes its keys; what it answers can be changed.
type host struct {
	*httptest.Server
	fetches atomic.Int32
	mu      sync.Mutex
	answer  http.HandlerFunc
}

func newHost(t *testing.T) *host {
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fetches.Add(1)
		h.mu.Lock()
		answer := h.answer
		h.mu.Unlock()
		answer(w, r)
	}))
	h.Config.SetKeepAlivesEnabled(false) // a reused connection that breaks is tried twice
	t.Cleanup(h.Close)
	return h
}

func (h *host) set(answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *host) publish(keys ...m) {
	h.set(func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(m{"keys": keys}) })
}

type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time       { return noon.Add(time.Duration(c.ns.Load())) }
func (c *clock) pass(d time.Duration) { c.ns.Add(int64(d)) }
func (c *clock) token() m             { return good(m{"exp": c.now().Add(time.Hour).Unix()}) }
func jwksVerifier(t *testing.T, h *host) (*Verifier, *clock) {
	c := &clock{}
	return mustNew(t, Config{JWKSURL: h.URL, Issuer: "https://host", Audience: "chat", Now: c.now}), c
}

func TestJWKSKinds(t *testing.T) {
	h := newHost(t)
	h.publish(ecJWK("e", &ecKey.PublicKey), rsaJWK("r", &rsaKey.PublicKey), edJWK("d", edKey.Public().(ed25519.PublicKey)),
		m{"kty": "oct", "kid": "o", "k": b64(hmacKey)}, m{"kty": "EC", "crv": "P-256", "kid": "off", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))})
	v, _ := jwksVerifier(t, h)
	for name, raw := range map[string]string{
		"e":      sign(t, m{"alg": "ES256", "kid": "e"}, good(nil), ecKey),
		"r":      sign(t, m{"alg": "RS256", "kid": "r"}, good(nil), rsaKey),
		"d":      sign(t, m{"alg": "EdDSA", "kid": "d"}, good(nil), edKey),
		"no kid": sign(t, m{"alg": "EdDSA"}, good(nil), edKey),
	} {
		if id, err := v.Hello(t.Context(), raw, ""); err != nil || id.User != "ann" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string]string{
		"a published secret":   sign(t, m{"alg": "HS256", "kid": "o"}, good(nil), hmacKey),
		"RS to HS":             sign(t, m{"alg": "HS256", "kid": "r"}, good(nil), []byte(pemOf(t, rsaKey.Public()))),
		"wrong iss":            sign(t, m{"alg": "EdDSA", "kid": "d"}, good(m{"iss": "https://other"}), edKey),
		"kid of another's key": sign(t, m{"alg": "ES256", "kid": "d"}, good(nil), ecKey),
	} {
		if _, err := v.Hello(t.Context(), raw, ""); chat.KindOf(err) != chat.Unauthed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := h.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestJWKSRotation(t *testing.T) {
	h := newHost(t)
	next, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	v, c := jwksVerifier(t, h)
	hello := func(kid string, k *ecdsa.PrivateKey) error {
		_, err := v.Hello(t.Context(), sign(t, m{"alg": "ES256", "kid": kid}, c.token(), k), "")
		return err
	}
	h.publish(ecJWK("1", &ecKey.PublicKey))
	if err := hello("1", ecKey); err != nil {
		t.Fatal(err)
	}
	h.publish(ecJWK("2", &next.PublicKey))
	if err := hello("2", next); err == nil {
		t.Fatal("fetched again within the minute")
	}
	c.pass(jwksEvery)
	if err := hello("2", next); err != nil {
		t.Fatalf("the new key: %v", err)
	}
	if err := hello("1", ecKey); err == nil {
		t.Fatal("the withdrawn key still works")
	}
	// A key that is withdrawn while no token needs a new one goes with age.
	h.publish(ecJWK("3", &ecKey.PublicKey))
	c.pass(jwksAge)
	if err := hello("2", next); err == nil {
		t.Fatal("an old set was used without asking again")
	}
}

func TestJWKSFlood(t *testing.T) {
	h := newHost(t)
	h.publish(ecJWK("1", &ecKey.PublicKey))
	v, c := jwksVerifier(t, h)
	for minute := range 3 {
		var wg sync.WaitGroup
		for i := range 50 {
			raw := sign(t, m{"alg": "ES256", "kid": fmt.Sprint("unknown", minute, i)}, c.token(), ecKey)
			wg.Go(func() {
				if _, err := v.Hello(t.Context(), raw, ""); err == nil {
					t.Error("accepted")
				}
			})
		}
		wg.Wait()
		if n := h.fetches.Load(); n != int32(minute+1) {
			t.Fatalf("%d fetches after minute %d", n, minute)
		}
		c.pass(jwksEvery)
	}
}

func TestJWKSDown(t *testing.T) {
	huge := strings.Repeat(" ", jwksBytes+1)
	for name, answer := range map[string]http.HandlerFunc{
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"oversized": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(huge + `{"keys":[]}`)) },
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"empty":     func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) },
		"cut off":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"many keys": func(w http.ResponseWriter, _ *http.Request) {
			json.NewEncoder(w).Encode(m{"keys": make([]jwk, jwksKeys+1)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			v, c := jwksVerifier(t, h)
			hello := func() error {
				_, err := v.Hello(t.Context(), sign(t, m{"alg": "ES256", "kid": "1"}, c.token(), ecKey), "")
				return err
			}
			h.set(answer)
			for range 2 { // the second time without a fetch
				if err := hello(); chat.KindOf(err) != chat.Unavailable || chat.Public(err).RetryAfter != jwksRetry.Milliseconds() {
					t.Fatalf("without any set: %v", err)
				}
			}
			h.publish(ecJWK("1", &ecKey.PublicKey))
			c.pass(jwksRetry)
			if err := hello(); err != nil {
				t.Fatalf("up again: %v", err)
			}
			h.set(answer)
			for range 3 {
				c.pass(jwksAge)
				if err := hello(); err != nil {
					t.Fatalf("down again, the old set must go on: %v", err)
				}
			}
			if n := h.fetches.Load(); n != 5 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

// A host that never answers holds a caller no longer than the caller wants.
func TestJWKSHangs(t *testing.T) {
	h := newHost(t)
	asked, release := make(chan struct{}), make(chan struct{})
	h.set(func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	defer close(release)
	v, _ := jwksVerifier(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := v.Hello(ctx, sign(t, m{"alg": "ES256", "kid": "1"}, good(nil), ecKey), ""); chat.KindOf(err) != chat.Unavailable {
		t.Error(err)
	}
}

func TestAPIKeys(t *testing.T) {
	c := &clock{}
	var (
		mu    sync.Mutex
		list  []Key
		fail  error
		reads int
	)
	v := mustNew(t, Config{Now: c.now, APIKeys: func(context.Context) ([]Key, error) {
		mu.Lock()
		defer mu.Unlock()
		reads++
		return list, fail
	}})
	raw, key, err := NewKey("shop", []string{ScopeSend, ScopeRooms})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%s %x", key.Hash, key), raw[len(raw)-43:]) {
		t.Error("the key as kept holds the secret")
	}
	ask := func() (*Identity, error) { return v.Bearer(t.Context(), "Bearer "+raw) }
	if _, err := ask(); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("before it exists: %v", err)
	}
	list = []Key{key}
	c.pass(KeysAge)
	id, err := ask()
	if err != nil || id.Kind != Server || id.Name != key.Name || id.User != "" {
		t.Fatalf("%+v, %v", id, err)
	}
	if !id.Allows(ScopeSend) || !id.Allows(ScopeRooms) || id.Allows(ScopeUsers) || id.Allows(ScopeRead) {
		t.Errorf("scopes %v", id.Scopes)
	}
	for name, other := range map[string]string{
		"another secret": raw[:len(raw)-1] + "A" + "A", "cut": raw[:len(raw)-1], "only the id": keyPrefix + key.ID,
		"no secret": keyPrefix + key.ID + "_", "unknown id": keyPrefix + "x" + raw[len(keyPrefix):], "prefix": keyPrefix, "no id": keyPrefix + "_", "long": raw + strings.Repeat("x", 1000),
		"the hash": keyPrefix + key.ID + "_" + string(key.Hash),
	} {
		if _, err := v.apiKey(t.Context(), other); chat.KindOf(err) != chat.Unauthed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if reads != 2 {
		t.Errorf("the list was read %d times", reads)
	}
	if _, err := v.Hello(t.Context(), raw, ""); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("an API key opened a connection: %v", err)
	}
	mu.Lock()
	list[0].Revoked = 1
	mu.Unlock()
	c.pass(KeysAge)
	if _, err := ask(); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("revoked: %v", err)
	}
	fail = errors.New("disk")
	c.pass(KeysAge)
	if _, err := ask(); chat.KindOf(err) != chat.Unavailable {
		t.Errorf("the list cannot be read: %v", err)
	}
}

func TestNewKeyRefused(t *testing.T) {
	for _, scopes := range [][]string{nil, {"administer"}, {ScopeSend, ""}} {
		if _, _, err := NewKey("x", scopes); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%v: %v", scopes, err)
		}
	}
	all := Identity{Kind: Server, Scopes: []string{ScopeAll}}
	user := Identity{Kind: Token, Scopes: []string{ScopeAll}}
	if !all.Allows(ScopeUsers) || user.Allows(ScopeUsers) {
		t.Error("* is for API keys only")
	}
}
