package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
)

// algorithms are the supported ones; the key decides which of them counts for a
// token.
var algorithms = []string{"HS256", "RS256", "ES256", "EdDSA"}

// claims are the claims of a token that are read.
type claims struct {
	jwt.RegisteredClaims
	Name   *string  `json:"name,omitempty"`
	Avatar *string  `json:"avatar,omitempty"`
	Rooms  []string `json:"rooms,omitempty"`
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
	c := claims{RegisteredClaims: jwt.RegisteredClaims{
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
	parser := jwt.NewParser(
		jwt.WithValidMethods(algorithms),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(skew),
		jwt.WithTimeFunc(v.cfg.Now),
	)
	c, by, err := v.verify(ctx, parser, raw)
	if err != nil {
		return nil, err
	}
	if err := v.checkParties(c, by.own); err != nil {
		return nil, err
	}
	return v.identify(c)
}

// verify finds the key that signed the token: of its algorithm, and of its kid
// unless the key was configured without one. The header is not verified yet, so it
// selects among known keys and does nothing else. The keys of the JWKS URL come
// last, since they may have to be fetched.
func (v *Verifier) verify(ctx context.Context, parser *jwt.Parser, raw string) (*claims, *key, error) {
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
func signedBy(parser *jwt.Parser, raw string, keys []key) (*claims, *key, error) {
	for _, k := range keys {
		var c claims
		_, err := parser.ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return k.verify, nil })
		switch {
		case err == nil:
			return &c, &k, nil
		case !errors.Is(err, jwt.ErrTokenSignatureInvalid):
			return nil, nil, refused(err)
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

// checkParties checks iss and aud where they are configured. A token signed with
// the server's own secret may leave them out, but not have wrong ones.
func (v *Verifier) checkParties(c *claims, own bool) error {
	if v.cfg.Issuer != "" && c.Issuer != v.cfg.Issuer && !(own && c.Issuer == "") {
		return unauthed("the token is of another issuer", nil)
	}
	if v.cfg.Audience != "" && !slices.Contains(c.Audience, v.cfg.Audience) && !(own && len(c.Audience) == 0) {
		return unauthed("the token is for another audience", nil)
	}
	return nil
}

// identify turns verified claims into an Identity.
func (v *Verifier) identify(c *claims) (*Identity, error) {
	if err := chat.CheckID("user", c.Subject, v.limits.IDBytes); err != nil {
		return nil, unauthed("the token's sub is not a user id", err)
	}
	id := &Identity{
		User: chat.UserID(c.Subject), Kind: Token, Expires: c.ExpiresAt.Add(skew),
		ClaimedName: c.Name, ClaimedAvatar: c.Avatar,
	}
	if c.IssuedAt != nil {
		id.Issued = c.IssuedAt.Time
	}
	if c.Name != nil {
		if err := chat.CheckName("name", *c.Name, v.limits.NameBytes); err != nil {
			return nil, unauthed("the token's name is too long or not plain text", err)
		}
		id.Name = *c.Name
	}
	if c.Avatar != nil {
		if err := chat.CheckAvatar(*c.Avatar, &v.limits); err != nil {
			return nil, unauthed("the token's avatar must be an https address or a path that starts with one slash", err)
		}
	}
	for _, r := range c.Rooms {
		if err := chat.CheckRef("room", r, v.limits.IDBytes); err != nil {
			return nil, unauthed("the token's rooms are not room ids", err)
		}
		if id.Rooms == nil {
			id.Rooms = make(map[chat.RoomID]bool, len(c.Rooms))
		}
		id.Rooms[chat.RoomID(r)] = true
	}
	return id, nil
}

// refused names the few reasons that help a client with a token of its own; the
// others have one text.
func refused(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthed("the token has expired", err)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return unauthed("the token is not valid yet", err)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return unauthed("the token has no exp", err)
	}
	return unauthed("the token is not valid", err)
}
