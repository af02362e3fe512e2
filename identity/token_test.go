package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
)

var (
	noon      = time.Unix(1_800_000_000, 0)
	ownSecret = []byte("0123456789abcdef0123456789abcdef")
	hmacKey   = []byte("another secret of the host, 32 bytes and more")
	rsaKey, _ = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _  = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edKey     = func() ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(rand.Reader); return k }()
)

func pemOf(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func hostConfig(t testing.TB) Config {
	return Config{
		Secret: ownSecret, Issuer: "https://host", Audience: "chat",
		Keys: []KeyConfig{
			{KID: "hs", Alg: "HS256", Secret: hmacKey},
			{KID: "rs", Alg: "RS256", PEM: pemOf(t, rsaKey.Public())},
			{KID: "es", Alg: "ES256", PEM: pemOf(t, ecKey.Public())},
			{KID: "ed", Alg: "EdDSA", PEM: pemOf(t, edKey.Public())},
		},
		Now: func() time.Time { return noon },
	}
}

func mustNew(t testing.TB, cfg Config) *Verifier {
	t.Helper()
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type m = map[string]any

func good(extra m) m {
	c := m{"sub": "ann", "exp": noon.Add(time.Hour).Unix(), "iss": "https://host", "aud": "chat"}
	for k, v := range extra {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// sign makes a token by hand, so that headers and claims can be as wrong as they like.
func sign(t testing.TB, header, body m, key any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(body)
	alg, _ := header["alg"].(string)
	method := jwt.GetSigningMethod(alg)
	if method == nil {
		return text + "."
	}
	sig, err := method.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestTokenAccepted(t *testing.T) {
	v := mustNew(t, hostConfig(t))
	for name, raw := range map[string]string{
		"own secret, no iss and aud": sign(t, m{"alg": "HS256"}, good(m{"iss": nil, "aud": nil}), ownSecret),
		"own secret, a kid":          sign(t, m{"alg": "HS256", "kid": "x"}, good(nil), ownSecret),
		"HS256":                      sign(t, m{"alg": "HS256", "kid": "hs"}, good(nil), hmacKey),
		"RS256":                      sign(t, m{"alg": "RS256", "kid": "rs", "typ": "JWT"}, good(nil), rsaKey),
		"ES256":                      sign(t, m{"alg": "ES256", "kid": "es"}, good(nil), ecKey),
		"EdDSA, no kid":              sign(t, m{"alg": "EdDSA"}, good(nil), edKey),
		"access token type":          sign(t, m{"alg": "EdDSA", "typ": "at+jwt"}, good(nil), edKey),
		"one of several audiences":   sign(t, m{"alg": "EdDSA"}, good(m{"aud": []string{"x", "chat"}}), edKey),
		"expired within the skew":    sign(t, m{"alg": "EdDSA"}, good(m{"exp": noon.Unix() - 29}), edKey),
		"not before within the skew": sign(t, m{"alg": "EdDSA"}, good(m{"nbf": noon.Unix() + 29}), edKey),
	} {
		id, err := v.Hello(t.Context(), raw, "")
		if err != nil || id.User != "ann" || id.Kind != Token || id.Expired(noon) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

func TestTokenRefused(t *testing.T) {
	v := mustNew(t, hostConfig(t))
	hit := atomic.Int32{}
	bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit.Add(1) }))
	defer bait.Close()
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	hs := func(extra m) string { return sign(t, m{"alg": "HS256", "kid": "hs"}, good(extra), hmacKey) }
	rsPEM := []byte(pemOf(t, rsaKey.Public()))
	rsDER, _ := pem.Decode(rsPEM)

	for name, raw := range map[string]string{
		"nothing":              "",
		"not a token":          "hello",
		"none":                 sign(t, m{"alg": "none", "kid": "rs"}, good(nil), jwt.UnsafeAllowNoneSignatureType),
		"None":                 sign(t, m{"alg": "None"}, good(nil), nil),
		"no alg":               sign(t, m{"kid": "rs"}, good(nil), nil),
		"alg is a list":        sign(t, m{"alg": []string{"HS256"}}, good(nil), nil),
		"HS512":                sign(t, m{"alg": "HS512", "kid": "hs"}, good(nil), hmacKey),
		"PS256":                sign(t, m{"alg": "PS256", "kid": "rs"}, good(nil), rsaKey),
		"RS to HS, PEM":        sign(t, m{"alg": "HS256", "kid": "rs"}, good(nil), rsPEM),
		"RS to HS, DER":        sign(t, m{"alg": "HS256", "kid": "rs"}, good(nil), rsDER.Bytes),
		"kid of another alg":   sign(t, m{"alg": "RS256", "kid": "es"}, good(nil), rsaKey),
		"kid is a number":      sign(t, m{"alg": "EdDSA", "kid": 7}, good(nil), edKey),
		"unknown kid":          sign(t, m{"alg": "EdDSA", "kid": "../../x"}, good(nil), edKey),
		"crit":                 sign(t, m{"alg": "EdDSA", "crit": []string{"b64"}, "b64": false}, good(nil), edKey),
		"refresh token":        sign(t, m{"alg": "EdDSA", "typ": "refresh+jwt"}, good(nil), edKey),
		"typ is a number":      sign(t, m{"alg": "EdDSA", "typ": 1}, good(nil), edKey),
		"key in the header":    sign(t, m{"alg": "ES256", "jwk": ecJWK("x", &stranger.PublicKey)}, good(nil), stranger),
		"key URL in header":    sign(t, m{"alg": "ES256", "jku": bait.URL, "x5u": bait.URL}, good(nil), stranger),
		"no exp":               hs(m{"exp": nil}),
		"exp is a word":        hs(m{"exp": "never"}),
		"expired":              hs(m{"exp": noon.Unix() - 31}),
		"not yet":              hs(m{"nbf": noon.Unix() + 31}),
		"no iss":               hs(m{"iss": nil}),
		"wrong iss":            hs(m{"iss": "https://host.evil"}),
		"no aud":               hs(m{"aud": nil}),
		"wrong aud":            hs(m{"aud": []string{"chat2"}}),
		"own secret wrong iss": sign(t, m{"alg": "HS256"}, good(m{"iss": bait.URL}), ownSecret),
		"own secret wrong aud": sign(t, m{"alg": "HS256"}, good(m{"aud": "mail"}), ownSecret),
		"no sub":               hs(m{"sub": nil}),
		"empty sub":            hs(m{"sub": ""}),
		"sub is a fraction":    hs(m{"sub": 5.5}),
		"sub is true":          hs(m{"sub": true}),
		"exp in milliseconds":  hs(m{"exp": noon.Add(time.Hour).UnixMilli()}),
		"control in sub":       hs(m{"sub": "a\nb"}),
		"long sub":             hs(m{"sub": strings.Repeat("a", 129)}),
		"rooms is an object":   hs(m{"rooms": m{"$gt": ""}}),
		"room is empty":        hs(m{"rooms": []string{""}}),
		"name with a control":  hs(m{"name": "a\x1b[31m"}),
		"long name":            hs(m{"name": strings.Repeat("n", 257)}),
		"changed body":         swapBody(t, hs(nil), good(m{"sub": "root"})),
		"cut signature":        strings.TrimRight(hs(nil)[:len(hs(nil))-10], "."),
		"no signature":         hs(nil)[:strings.LastIndexByte(hs(nil), '.')+1],
		"too long":             hs(m{"pad": strings.Repeat("x", maxToken)}),
		"a million dots":       strings.Repeat(".", 1<<20),
		"four parts":           hs(nil) + ".x",
	} {
		id, err := v.Hello(t.Context(), raw, "")
		if id != nil || chat.KindOf(err) != chat.Unauthed {
			t.Errorf("%s: got %+v, %v", name, id, err)
		}
		if err != nil && len(raw) > 20 && strings.Contains(err.Error(), raw[len(raw)-20:]) {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
	if hit.Load() != 0 {
		t.Error("an unverified header made the server fetch something")
	}
}

func swapBody(t testing.TB, raw string, body m) string {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(raw, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(b) + "." + parts[2]
}

func TestTokenClaims(t *testing.T) {
	v := mustNew(t, hostConfig(t))
	raw := sign(t, m{"alg": "EdDSA"}, good(m{"name": "Ann Ó", "avatar": "/ann.png", "iat": 1800000000, "jti": "t1", "rooms": []string{"a", "b/c"}}), edKey)
	id, err := v.Bearer(t.Context(), "bearer  "+raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Name != "Ann Ó" || *id.ClaimedName != "Ann Ó" || *id.ClaimedAvatar != "/ann.png" || id.Issued.Unix() != 1800000000 {
		t.Errorf("%+v", id)
	}
	if !id.Granted("a") || !id.Granted("b/c") || id.Granted("c") || id.Allows(ScopeSend) {
		t.Errorf("grants: %+v", id)
	}
	if want := noon.Add(time.Hour + skew); !id.Expires.Equal(want) || !id.Expired(want) {
		t.Errorf("expires %v, want %v", id.Expires, want)
	}
	id, err = v.Hello(t.Context(), sign(t, m{"alg": "EdDSA"}, good(m{"rooms": []string{"*"}}), edKey), "bob")
	if err != nil || id.User != "ann" || !id.Granted("anything") {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestMint(t *testing.T) {
	cfg := hostConfig(t)
	cfg.Now = nil
	v := mustNew(t, cfg)
	raw, err := Mint(ownSecret, "bob", "Bob", []chat.RoomID{"r"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.Hello(t.Context(), raw, "")
	if err != nil || id.User != "bob" || id.Name != "Bob" || !id.Granted("r") || id.Granted("s") {
		t.Errorf("%+v, %v", id, err)
	}
	for name, mint := range map[string]func() (string, error){
		"short secret": func() (string, error) { return Mint([]byte("short"), "bob", "", nil, time.Hour) },
		"no user":      func() (string, error) { return Mint(ownSecret, "", "", nil, time.Hour) },
		"no time":      func() (string, error) { return Mint(ownSecret, "bob", "", nil, 0) },
	} {
		if raw, err := mint(); err == nil || raw != "" {
			t.Errorf("%s: minted", name)
		}
	}
}

func TestGuests(t *testing.T) {
	on, off := mustNew(t, Config{Guests: true}), mustNew(t, Config{})
	if id, err := on.Hello(t.Context(), "", "user1"); err != nil || id.User != "user1" || id.Kind != Guest || id.Granted("r") {
		t.Errorf("%+v, %v", id, err)
	}
	for name, want := range map[string]chat.Kind{"": chat.Unauthed, "a\x00b": chat.Invalid, strings.Repeat("a", 129): chat.TooLarge, "\xff": chat.Invalid} {
		if _, err := on.Hello(t.Context(), "", name); chat.KindOf(err) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := off.Hello(t.Context(), "", "user1"); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("guests are off: %v", err)
	}
	if _, err := on.Hello(t.Context(), "broken", "user1"); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("a broken token must not become a guest: %v", err)
	}
}

func TestConfigRefused(t *testing.T) {
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	private, err := x509.MarshalPKCS8PrivateKey(edKey)
	if err != nil {
		t.Fatal(err)
	}
	rsPEM := pemOf(t, rsaKey.Public())
	for name, cfg := range map[string]Config{
		"short secret":       {Secret: []byte("secret")},
		"unknown alg":        {Keys: []KeyConfig{{Alg: "none"}}},
		"PEM as HMAC secret": {Keys: []KeyConfig{{Alg: "HS256", PEM: rsPEM}}},
		"secret for RS256":   {Keys: []KeyConfig{{Alg: "RS256", Secret: hmacKey}}},
		"alg of another key": {Keys: []KeyConfig{{Alg: "ES256", PEM: rsPEM}}},
		"weak RSA":           {Keys: []KeyConfig{{Alg: "RS256", PEM: pemOf(t, weak.Public())}}},
		"P-384":              {Keys: []KeyConfig{{Alg: "ES256", PEM: pemOf(t, p384.Public())}}},
		"private key":        {Keys: []KeyConfig{{Alg: "EdDSA", PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}}},
		"not a key":          {Keys: []KeyConfig{{Alg: "EdDSA", PEM: "x"}}},
		"file as JWKS URL":   {JWKSURL: "file:///etc/passwd"},
	} {
		if _, err := New(cfg); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzBearer(f *testing.F) {
	v := mustNew(f, hostConfig(f))
	raw, key, _ := NewKey("k", []string{ScopeAll})
	v.api.list = func(context.Context) ([]Key, error) { return []Key{key}, nil }
	f.Add("Bearer " + sign(f, m{"alg": "HS256", "kid": "hs"}, good(m{"rooms": []string{"a"}}), hmacKey))
	f.Add("Bearer " + raw)
	f.Add("Bearer rtk__")
	f.Add("Bearer eyJhbGciOiJub25lIn0.bnVsbA.")
	f.Add("Basic YTpi")
	f.Fuzz(func(t *testing.T, header string) {
		id, err := v.Bearer(t.Context(), header)
		switch {
		case (id == nil) == (err == nil):
			t.Fatalf("%+v, %v", id, err)
		case err != nil && chat.KindOf(err) != chat.Unauthed:
			t.Fatalf("%v", err)
		case err == nil && id.Kind == Token && id.Expired(noon):
			t.Fatal("accepted though expired")
		case err == nil && id.Kind == Server && !strings.Contains(header, raw):
			t.Fatal("accepted an API key that was never made")
		}
	})
}
