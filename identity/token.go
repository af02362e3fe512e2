package identity

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
)

// algorithms are the supported ones; the key decides which of them counts for a
// token.
var algorithms = []string{"HS256", "RS256", "ES256", "EdDSA"}

// minted are the claims of a token that Mint makes.
type minted struct {
	jwt.RegisteredClaims
	Name  *string  `json:"name,omitempty"`
	Rooms []string `json:"rooms,omitempty"`
}

// Mint signs a token for user with the server's own secret, as `roomtide token`
// prints it. An application that has the secret can make the same.
func Mint(secret []byte, user chat.UserID, name string, rooms []chat.RoomID, ttl time.Duration) (string, error) {
	if _, err := (KeyConfig{Alg: "HS256", Secret: secret}).key(); err != nil {
		return "", err
	}
	if err := chat.CheckID("user", string(user), chat.DefaultLimits().IDBytes); err != nil {
		return "", err
	}
	if ttl <= 0 {
		return "", chat.E(chat.Invalid, "a token must live for some time")
	}
	now := time.Now()
	c := minted{RegisteredClaims: jwt.RegisteredClaims{
		Subject: string(user), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}}
	if name != "" {
		c.Name = &name
	}
	for _, r := range rooms {
		c.Rooms = append(c.Rooms, string(r))
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
}

// token verifies a JWT and reads its claims.
func (v *Verifier) token(ctx context.Context, raw string) (*Identity, error) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return nil, unauthed("the token is not valid", nil)
	}
	c, by, err := v.verify(ctx, raw)
	if err != nil {
		v.cfg.Log.Debug("a token was refused", "reason", chat.Public(err).Text)
		return nil, err
	}
	id, err := v.read(c, by.own)
	if err != nil {
		v.wrongClaim(by, err)
		return nil, err
	}
	if by.own && v.cfg.Guests && v.cfg.Anywhere && !v.warned.Swap(true) {
		v.cfg.Log.Warn("UNSAFE: guests are welcome beside users with tokens of this node: set guests = \"off\" for production")
	}
	return id, nil
}

// wrongClaim logs why a token with a good signature was refused: the application that
// makes such tokens is to be mended. That a token has expired is no mistake.
func (v *Verifier) wrongClaim(by *key, err error) {
	level := slog.LevelDebug
	if !errors.Is(err, errTime) && v.some.Allow() {
		level = slog.LevelWarn
	}
	v.cfg.Log.Log(context.Background(), level, "a token with a good signature was refused", "reason", chat.Public(err).Text, "alg", by.alg, "kid", by.kid)
}

// verify finds the key that signed the token: of its algorithm, and of its kid
// unless the key was configured without one. The header is not verified yet, so it
// selects among known keys and does nothing else. The keys of the JWKS URL come
// last, since they may have to be fetched.
func (v *Verifier) verify(ctx context.Context, raw string) (claims, *key, error) {
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithoutClaimsValidation()) // read judges the claims
	invalid := unauthed("the token is not valid", errors.New("no key of ours signed it"))
	t, _, err := parser.ParseUnverified(raw, &claims{})
	if err != nil {
		return nil, nil, invalid
	}
	alg, kid, ok := readHeader(t.Header)
	if !ok {
		return nil, nil, invalid
	}
	match := func(k key) bool { return k.alg == alg && (k.kid == kid || k.kid == "" || kid == "") }
	var keys []key
	named := false // a configured key has that kid
	for _, k := range v.keys {
		if match(k) {
			keys = append(keys, k)
			named = named || kid != "" && k.kid == kid
		}
	}
	c, by, err := signedBy(parser, raw, keys)
	if by == nil && err == nil && v.jwks != nil && alg != "HS256" && !named {
		if keys, err = v.jwks.find(ctx, match); err == nil {
			c, by, err = signedBy(parser, raw, keys)
		}
	}
	if by == nil && err == nil {
		err = invalid
	}
	return c, by, err
}

// signedBy returns the claims and the key that signed them, nil if none of keys did.
func signedBy(parser *jwt.Parser, raw string, keys []key) (claims, *key, error) {
	for _, k := range keys {
		var c claims
		_, err := parser.ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return k.verify, nil })
		switch {
		case err == nil:
			return c, &k, nil
		case !errors.Is(err, jwt.ErrTokenSignatureInvalid):
			return nil, nil, unauthed("the token is not valid", err)
		}
	}
	return nil, nil, nil
}

// readHeader returns algorithm and key id of a token's header. It refuses other
// kinds of tokens (typ), extensions (crit) and wrong types.
func readHeader(h map[string]any) (alg, kid string, ok bool) {
	if _, has := h["crit"]; has {
		return "", "", false
	}
	if typ, has := h["typ"]; has {
		s, _ := typ.(string)
		if !strings.EqualFold(s, "JWT") && !strings.EqualFold(s, "at+jwt") {
			return "", "", false
		}
	}
	if k, has := h["kid"]; has {
		if kid, ok = k.(string); !ok {
			return "", "", false
		}
	}
	alg, ok = h["alg"].(string)
	return alg, kid, ok && slices.Contains(algorithms, alg)
}
