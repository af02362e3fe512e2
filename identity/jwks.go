package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

const (
	jwksEvery    = time.Minute      // at most one fetch in this time, whatever keys tokens name
	jwksRetry    = 5 * time.Second  // instead of jwksEvery as long as there is no set
	jwksAge      = 15 * time.Minute // an older set is fetched again before it is used
	jwksTimeout  = 5 * time.Second
	jwksPatience = time.Second // how long a token whose key is known waits for a newer set
	jwksBytes    = 256 << 10
	jwksKeys     = 32
)

// jwks is the host's published set of public keys. The set is fetched when a
// token needs a key that is not in it, and again when it is older than jwksAge, but
// never more often than jwksEvery. While the URL is down the old set stays in use;
// while it hangs, each token waits for jwksPatience first. Before there is a set nothing
// can be said of a token: that is Unavailable, and no refusal, which clients take as final.
type jwks struct {
	url     string
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	limiter *limit.Limiter // of the caller of find, which holds a permit
	flight  singleflight.Group

	mu      sync.Mutex
	keys    []key
	fetched time.Time // when keys were read
	tried   time.Time // when a fetch last began
}

func newJWKS(cfg Config) (*jwks, error) {
	u, err := url.Parse(cfg.JWKSURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, chat.E(chat.Invalid, "the JWKS URL is not a web address")
	}
	c := http.Client{}
	if cfg.HTTPClient != nil {
		c = *cfg.HTTPClient
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &jwks{url: cfg.JWKSURL, client: &c, now: cfg.Now, log: cfg.Log, limiter: cfg.Limiter}, nil
}

// find returns the keys that match, fetching the set first if it has none of
// them or is old, and if a fetch is allowed now. Concurrent callers share one
// fetch, and yield their permit of the limiter until it ends. Errors: Busy, Unavailable.
func (j *jwks) find(ctx context.Context, match func(key) bool) ([]key, error) {
	found, fresh := j.lookup(match)
	if len(found) > 0 {
		if fresh {
			return found, nil
		}
		var enough context.CancelFunc
		ctx, enough = context.WithTimeout(ctx, jwksPatience)
		defer enough()
	}
	done := j.flight.DoChan("", func() (any, error) {
		j.refresh()
		return nil, nil
	})
	err := j.limiter.Yield(func() {
		select {
		case <-done:
		case <-ctx.Done():
		}
	})
	if found, _ = j.lookup(match); len(found) > 0 {
		return found, nil
	}
	if err == nil && !j.published() {
		err = &chat.Error{
			Kind: chat.Unavailable, Op: "identity.jwks", RetryAfter: jwksRetry.Milliseconds(),
			Text: "the keys of tokens cannot be fetched now, try again",
		}
	}
	return nil, err
}

// published reports whether a set was ever fetched.
func (j *jwks) published() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.keys) > 0
}

func (j *jwks) lookup(match func(key) bool) (found []key, fresh bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.keys {
		if match(k) {
			found = append(found, k)
		}
	}
	return found, j.now().Sub(j.fetched) < jwksAge
}

// refresh fetches the set unless that was tried less than jwksEvery ago, or jwksRetry
// where there is none yet. It has its own deadline and not that of a request, so that
// the end of one request does not fail the others.
func (j *jwks) refresh() {
	now := j.now()
	j.mu.Lock()
	every := jwksEvery
	if len(j.keys) == 0 {
		every = jwksRetry
	}
	wait := !j.tried.IsZero() && now.Sub(j.tried) < every
	if !wait {
		j.tried = now
	}
	j.mu.Unlock()
	if wait {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), jwksTimeout)
	defer cancel()
	keys, err := j.fetch(ctx)
	if err != nil {
		j.log.Warn("cannot fetch the JWKS, going on with those of before if there are any", "err", err)
		return
	}
	j.mu.Lock()
	j.keys, j.fetched = keys, now
	j.mu.Unlock()
	j.log.Info("fetched the JWKS", "keys", len(keys))
}

func (j *jwks) fetch(ctx context.Context) ([]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, jwksBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > jwksBytes {
		return nil, fmt.Errorf("larger than %d bytes", jwksBytes)
	}
	return parseJWKS(body)
}

// jwk is one member of a set, RFC 7517. Secret keys have no place in one.
type jwk struct {
	KTY string `json:"kty"`
	KID string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	N   string `json:"n"`
	E   string `json:"e"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// parseJWKS reads the keys of the supported types and skips the others.
func parseJWKS(body []byte) ([]key, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	if len(set.Keys) > jwksKeys {
		return nil, fmt.Errorf("more than %d keys", jwksKeys)
	}
	var out []key
	for _, k := range set.Keys {
		pub := k.public()
		alg := algorithmOf(pub)
		if alg == "" || (k.Alg != "" && k.Alg != alg) || (k.Use != "" && k.Use != "sig") {
			continue
		}
		out = append(out, key{kid: k.KID, alg: alg, verify: pub})
	}
	if len(out) == 0 {
		return nil, errors.New("no usable key in the set")
	}
	return out, nil
}

// public decodes the key, nil if its type is not supported.
func (k *jwk) public() any {
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		return b
	}
	switch {
	case k.KTY == "RSA":
		n, e := raw(k.N), raw(k.E)
		if len(n) == 0 || len(e) == 0 || len(e) > 4 {
			return nil
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	case k.KTY == "EC" && k.Crv == "P-256":
		x, y := raw(k.X), raw(k.Y)
		if len(x) != 32 || len(y) != 32 {
			return nil
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil
		}
		return pub
	case k.KTY == "OKP" && k.Crv == "Ed25519":
		if x := raw(k.X); len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(x)
		}
	}
	return nil
}
