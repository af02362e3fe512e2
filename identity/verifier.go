package identity

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

const (
	maxToken = 8 << 10          // bytes of a token, checked before it is looked at
	skew     = 30 * time.Second // allowed difference between the application's clock and this one
)

// Config says which credentials are accepted. What is left out is refused.
type Config struct {
	Guests   bool         // guests are accepted: names without proof
	Secret   []byte       // the server's own HS256 key, at least 32 bytes; what Mint signs with
	Keys     []KeyConfig  // further keys of the application
	JWKSURL  string       // where the application publishes public keys
	Issuer   string       // required iss of the application's tokens
	Audience string       // required among the aud of the application's tokens
	Limits   *chat.Limits // of ids and names; nil: the defaults

	// APIKeys lists all API keys, revoked ones included. nil: there are none.
	// The list is read again when it is older than 5 seconds.
	APIKeys func(context.Context) ([]Key, error)

	// Limiter bounds how many credentials are verified at the same time; nil: as many
	// as there are processors. That is enough, since a slot is held for nothing but
	// work of a processor, a tenth of a millisecond at most. A credential whose key
	// has to be fetched yields its slot meanwhile, so that a JWKS URL that hangs or a
	// slow list of API keys delays no credential whose key is known. Those that have
	// yielded share one fetch, which ends by its own deadline, and have a bound of
	// their own.
	Limiter *limit.Limiter

	Now        func() time.Time // nil: time.Now
	HTTPClient *http.Client     // for JWKSURL; nil: a plain one. Redirects are not followed
	Log        *slog.Logger     // nil: nowhere
	Registerer prometheus.Registerer
}

// Verifier turns credentials into identities. Safe for concurrent use.
type Verifier struct {
	cfg    Config
	limits chat.Limits
	keys   []key // the configured ones
	jwks   *jwks // nil without a URL
	api    *apiKeys
}

// New checks the configuration and makes a Verifier. Nothing is fetched yet.
func New(cfg Config) (*Verifier, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Limiter == nil {
		cfg.Limiter = limit.New(limit.Config{Name: "authentications", Registerer: cfg.Registerer})
	}
	v := &Verifier{cfg: cfg, limits: chat.DefaultLimits(), api: &apiKeys{list: cfg.APIKeys, now: cfg.Now, limiter: cfg.Limiter}}
	if cfg.Limits != nil {
		v.limits = *cfg.Limits
	}
	if len(cfg.Secret) > 0 {
		k, err := KeyConfig{Alg: "HS256", Secret: cfg.Secret}.key()
		if err != nil {
			return nil, err
		}
		k.own = true
		v.keys = append(v.keys, k)
	}
	for _, kc := range cfg.Keys {
		k, err := kc.key()
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, k)
	}
	if cfg.JWKSURL != "" {
		j, err := newJWKS(cfg)
		if err != nil {
			return nil, err
		}
		v.jwks = j
	}
	return v, nil
}

// Hello authenticates a connection: by the token if there is one, as a guest
// otherwise. API keys are refused: they are for HTTP requests.
func (v *Verifier) Hello(ctx context.Context, token, guest string) (*Identity, error) {
	switch {
	case strings.HasPrefix(token, keyPrefix):
		return nil, unauthed("an API key is for HTTP only, use a token here", nil)
	case token != "":
		return v.limited(ctx, token, v.token)
	}
	return v.guest(guest)
}

// Bearer reads an Authorization header: "Bearer " and a token or an API key.
func (v *Verifier) Bearer(ctx context.Context, header string) (*Identity, error) {
	scheme, cred, _ := strings.Cut(header, " ")
	cred = strings.TrimSpace(cred)
	if !strings.EqualFold(scheme, "Bearer") || cred == "" {
		return nil, unauthed("the Authorization header must be: Bearer and a token", nil)
	}
	if strings.HasPrefix(cred, keyPrefix) {
		return v.limited(ctx, cred, v.apiKey)
	}
	return v.limited(ctx, cred, v.token)
}

// limited verifies a credential in a slot of the Limiter. Guests have none to
// verify and need no slot.
func (v *Verifier) limited(ctx context.Context, cred string, verify func(context.Context, string) (*Identity, error)) (*Identity, error) {
	if err := v.cfg.Limiter.Acquire(ctx); err != nil {
		return nil, err
	}
	defer v.cfg.Limiter.Release()
	return verify(ctx, cred)
}

// guest accepts a name without proof, where Guests is set.
func (v *Verifier) guest(name string) (*Identity, error) {
	if !v.cfg.Guests {
		return nil, unauthed("a token is needed", nil)
	}
	if name == "" {
		return nil, unauthed("a token or a user name is needed", nil)
	}
	if err := chat.CheckID("user", name, v.limits.IDBytes); err != nil {
		return nil, err
	}
	return &Identity{User: chat.UserID(name), Kind: Guest}, nil
}

// unauthed is every refusal of a credential. cause is for the log.
func unauthed(text string, cause error) *chat.Error {
	return &chat.Error{Kind: chat.Unauthed, Op: "identity", Text: text, Err: cause}
}
