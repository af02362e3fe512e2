package identity

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

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
	Anywhere bool         // guests come from elsewhere than this machine: beside tokens that is worth a warning
	Secret   []byte       // the server's own HS256 key, at least 32 bytes; what Mint signs with
	Keys     []KeyConfig  // further keys of the application
	JWKSURL  string       // where the application publishes public keys
	Issuer   string       // required iss of the application's tokens
	Audience string       // required among the aud of the application's tokens
	Limits   *chat.Limits // of ids and names; nil: the defaults

	// APIKeys lists all API keys, revoked ones included. nil: there are none.
	// The list is read again when it is older than KeysAge.
	APIKeys func(context.Context) ([]Key, error)

	// Users is what is kept of users: tokens that were ended, and ids that guests may
	// not use. nil: nothing is.
	Users Users

	// Limiter bounds how many credentials are verified at the same time; nil: as many
	// as there are processors. That is enough, since a permit is held for nothing but
	// work of a processor, a tenth of a millisecond at most. A credential whose key
	// has to be fetched yields its permit meanwhile, so that a JWKS URL that hangs or a
	// slow list of API keys delays no credential whose key is known. Those that have
	// yielded share one fetch, which ends by its own deadline, and have a bound of
	// their own.
	Limiter *limit.Limiter

	Now        func() time.Time // nil: time.Now
	HTTPClient *http.Client     // for JWKSURL; nil: a plain one. Redirects are not followed
	Log        *slog.Logger     // nil: nowhere
	Registerer prometheus.Registerer
}

// Users is what is kept of users for authentication (engine.Engine).
type Users interface {
	// Access returns what is kept of the user; the zero Access if there is nothing.
	Access(ctx context.Context, user chat.UserID) (chat.Access, error)

	// Claim records that the application has a user with this id. It does not block,
	// and what cannot be recorded now is when the user comes the next time.
	Claim(user chat.UserID)
}

// Verifier turns credentials into identities. Safe for concurrent use.
type Verifier struct {
	cfg    Config
	limits chat.Limits
	keys   []key // the configured ones
	jwks   *jwks // nil without a URL
	api    *apiKeys
	some   *rate.Limiter // bounds the warnings that tokens can cause

	warned atomic.Bool // that guests are welcome beside users
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
	v := &Verifier{cfg: cfg, limits: chat.DefaultLimits(), api: &apiKeys{list: cfg.APIKeys, now: cfg.Now, limiter: cfg.Limiter}, some: rate.NewLimiter(rate.Every(time.Minute), 1)}
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
	if token != "" {
		return v.Token(ctx, token)
	}
	id, err := v.guest(guest)
	return v.admit(ctx, id, err)
}

// Token authenticates by a token, where it does not come in a header.
func (v *Verifier) Token(ctx context.Context, token string) (*Identity, error) {
	if strings.HasPrefix(token, keyPrefix) {
		return nil, unauthed("an API key belongs into the Authorization header of HTTP requests: use a token here", nil)
	}
	id, err := v.limited(ctx, token, v.token)
	return v.admit(ctx, id, err)
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
	return v.Token(ctx, cred)
}

// admit judges a verified credential by what is kept of its user, and records that
// the application has that user.
func (v *Verifier) admit(ctx context.Context, id *Identity, err error) (*Identity, error) {
	if err == nil {
		err = v.judge(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	return id, nil
}

// Still reports whether the identity is good now: its token or API key was not ended
// and, for a guest, the application has no user of that name. A connection asks again
// once it can be found by its user: what was ended before that ends it now, what is
// ended later ends it as one of the user's. Errors: Unauthed, Busy, Unavailable.
func (v *Verifier) Still(ctx context.Context, id *Identity) error {
	if id.Kind != Server {
		return v.judge(ctx, id)
	}
	_, err := v.limited(ctx, id.key, func(ctx context.Context, key string) (*Identity, error) {
		k, err := v.api.get(ctx, key)
		if err == nil && (k.Revoked != 0 || k.ID == "") {
			err = unauthed("the API key is not valid", nil)
		}
		return nil, err
	})
	return err
}

func (v *Verifier) judge(ctx context.Context, id *Identity) error {
	if v.cfg.Users == nil {
		return nil
	}
	a, err := v.cfg.Users.Access(ctx, id.User)
	switch {
	case err != nil:
		return err
	case id.Kind == Guest && a.Claimed:
		return unauthed("this is the name of a user who has to bring a token: choose another", nil)
	case id.Kind == Token && a.NotBefore > 0 && id.Issued.IsZero():
		return unauthed("the token has no iat, and tokens of its user were revoked: make one with iat", nil)
	case id.Kind == Token && a.NotBefore > 0 && id.Issued.Unix() < a.NotBefore:
		return unauthed("the token was revoked", nil)
	case id.Kind == Token && !a.Claimed:
		v.cfg.Users.Claim(id.User)
	}
	return nil
}

// Speaks records that the back end speaks as the user or makes it a member: the id is
// no guest's from now on.
func (v *Verifier) Speaks(user chat.UserID) {
	if v.cfg.Users != nil {
		v.cfg.Users.Claim(user)
	}
}

// limited verifies a credential in a permit of the Limiter. Guests have none to
// verify and need no permit.
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
