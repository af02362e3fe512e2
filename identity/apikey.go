package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

const (
	keyPrefix = "rtk_"
	// KeysAge is how long a revoked key may still work.
	KeysAge     = time.Second
	keysTimeout = 5 * time.Second
)

// Key is an API key as it is stored: everything but the secret.
type Key struct {
	ID      string   // public part, names the key in lists
	Hash    []byte   // SHA-256 of the secret part
	Name    string   // its purpose, as the operator named it
	Scopes  []string // see the Scope constants
	Created int64    // Unix milliseconds
	Revoked int64    // Unix milliseconds, 0 while it works
}

// NewKey makes an API key. raw is shown once, when the key is made, and not stored.
func NewKey(name string, scopes []string) (raw string, k Key, err error) {
	if len(scopes) == 0 {
		return "", Key{}, chat.E(chat.Invalid, "an API key needs a scope")
	}
	for _, s := range scopes {
		if !KnownScope(s) {
			return "", Key{}, chat.E(chat.Invalid, "unknown scope "+s)
		}
	}
	var id [10]byte
	var secret [32]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(text))
	k = Key{
		ID:   strings.ToLower(base32.StdEncoding.EncodeToString(id[:])),
		Hash: hash[:], Name: name, Scopes: scopes, Created: time.Now().UnixMilli(),
	}
	return keyPrefix + k.ID + "_" + text, k, nil
}

// apiKey verifies an API key.
func (v *Verifier) apiKey(ctx context.Context, raw string) (*Identity, error) {
	rest, ok := strings.CutPrefix(raw, keyPrefix)
	id, secret, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(raw) > 128 {
		return nil, unauthed("the API key is not valid", nil)
	}
	k, err := v.api.get(ctx, id)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], k.Hash) != 1 || k.Revoked != 0 {
		return nil, unauthed("the API key is not valid", nil)
	}
	return &Identity{Name: k.Name, Kind: Server, Scopes: k.Scopes, key: k.ID}, nil
}

// apiKeys caches the list of keys for a few seconds.
type apiKeys struct {
	list    func(context.Context) ([]Key, error) // nil: no keys
	now     func() time.Time
	limiter *limit.Limiter // of the caller of get, which holds a permit
	flight  singleflight.Group

	mu   sync.Mutex
	byID map[string]Key
	read time.Time
}

// get returns the key with the id, the zero Key if there is none. When the list
// cannot be read every key is refused: a revoked one must not work again.
func (a *apiKeys) get(ctx context.Context, id string) (Key, error) {
	if a.list == nil {
		return Key{}, nil
	}
	if k, fresh := a.cached(id); fresh {
		return k, nil
	}
	done := a.flight.DoChan("", func() (any, error) { return nil, a.load() })
	var err error
	busy := a.limiter.Yield(func() {
		select {
		case r := <-done:
			err = r.Err
		case <-ctx.Done():
			err = ctx.Err()
		}
	})
	switch {
	case busy != nil:
		return Key{}, busy
	case err != nil:
		return Key{}, &chat.Error{Kind: chat.Unavailable, Op: "identity.keys", RetryAfter: 1000, Err: err}
	}
	k, _ := a.cached(id)
	return k, nil
}

func (a *apiKeys) cached(id string) (k Key, fresh bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byID[id], a.byID != nil && a.now().Sub(a.read) < KeysAge
}

// load reads the list, with a deadline of its own and not that of a request.
func (a *apiKeys) load() error {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	now := a.now()
	keys, err := a.list(ctx)
	if err != nil {
		return err
	}
	m := make(map[string]Key, len(keys))
	for _, k := range keys {
		m[k.ID] = k
	}
	a.mu.Lock()
	a.byID, a.read = m, now
	a.mu.Unlock()
	return nil
}
