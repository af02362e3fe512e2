package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
)

// claims are the claims of a token as they came, by name. They are read once the
// signature holds, so that an answer can name the one that is wrong.
type claims map[string]json.RawMessage

// jwt.Claims, for the parser, which does not ask for them (WithoutClaimsValidation).

func (claims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (claims) GetIssuer() (string, error)                   { return "", nil }
func (claims) GetSubject() (string, error)                  { return "", nil }
func (claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// errTime is the cause of a refusal that time alone makes.
var errTime = errors.New("by the clock")

// read judges verified claims and turns them into an Identity.
func (v *Verifier) read(c claims, own bool) (*Identity, error) {
	id := &Identity{Kind: Token}
	for _, err := range []error{
		v.readTimes(c, id), v.readParties(c, own), v.readUser(c, id), v.readRooms(c, id),
	} {
		if err != nil {
			return nil, err
		}
	}
	return id, nil
}

// readTimes reads exp, nbf and iat.
func (v *Verifier) readTimes(c claims, id *Identity) error {
	exp, err := c.time("exp")
	if err != nil {
		return err
	}
	nbf, err := c.time("nbf")
	if err != nil {
		return err
	}
	iat, err := c.time("iat")
	if err != nil {
		return err
	}
	now := v.cfg.Now()
	switch {
	case exp.IsZero():
		return unauthed("the token has no exp", nil)
	case !now.Before(exp.Add(skew)):
		return unauthed("the token has expired", errTime)
	case !nbf.IsZero() && now.Before(nbf.Add(-skew)):
		return unauthed("the token is not valid yet", errTime)
	}
	id.Expires, id.Issued = exp.Add(skew), iat
	return nil
}

// readParties checks iss and aud where they are configured. A token signed with
// the server's own secret may leave them out, but not have wrong ones.
func (v *Verifier) readParties(c claims, own bool) error {
	iss, err := c.text("iss")
	if err != nil {
		return err
	}
	aud, err := c.list("aud", c.string)
	if err != nil {
		return err
	}
	if v.cfg.Issuer != "" && iss != v.cfg.Issuer && !(own && iss == "") {
		return unauthed("the token is of another issuer: iss is not the configured one", nil)
	}
	if v.cfg.Audience != "" && !slices.Contains(aud, v.cfg.Audience) && !(own && len(aud) == 0) {
		return unauthed("the token is for another audience: aud is not the configured one", nil)
	}
	return nil
}

// readUser reads sub, and what the token says of the user.
func (v *Verifier) readUser(c claims, id *Identity) error {
	if !c.has("sub") {
		return unauthed("the token has no sub, the id of its user", nil)
	}
	sub, ok := c.id(c["sub"])
	if !ok {
		return unauthed("sub must be a string, the id of the user", nil)
	}
	if err := chat.CheckID("user", sub, v.limits.IDBytes); err != nil {
		return unauthed("sub is not a user id: "+chat.Public(err).Text, err)
	}
	id.User = chat.UserID(sub)
	return v.readProfile(c, id)
}

// readProfile reads name and avatar.
func (v *Verifier) readProfile(c claims, id *Identity) error {
	name, err := c.text("name")
	if err != nil {
		return err
	}
	avatar, err := c.text("avatar")
	if err != nil {
		return err
	}
	if err := chat.CheckName("name", name, v.limits.NameBytes); err != nil {
		return unauthed("the token's name is too long or not plain text", err)
	}
	if err := chat.CheckAvatar(avatar, &v.limits); err != nil {
		return unauthed("avatar must be an https address or a path that starts with one slash", err)
	}
	if c.has("name") {
		id.Name, id.ClaimedName = name, &name
	}
	if c.has("avatar") {
		id.ClaimedAvatar = &avatar
	}
	return nil
}

// readRooms reads rooms.
func (v *Verifier) readRooms(c claims, id *Identity) error {
	rooms, err := c.list("rooms", c.id)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		if err := chat.CheckID("room", r, v.limits.IDBytes); err != nil {
			return unauthed("rooms has what is no room id: "+chat.Public(err).Text, err)
		}
		if id.Rooms == nil {
			id.Rooms = make(map[chat.RoomID]bool, len(rooms))
		}
		id.Rooms[chat.RoomID(r)] = true
	}
	return nil
}

// has reports whether the claim is there; one that is null is not.
func (c claims) has(name string) bool {
	raw, ok := c[name]
	return ok && string(raw) != "null"
}

// latest is the largest time that is taken for seconds, in the year 5138. Milliseconds
// of today are larger.
const latest = 1e11

// time reads a time, the zero Time if the claim is not there. Some libraries write the
// number as text.
func (c claims) time(name string) (time.Time, error) {
	if !c.has(name) {
		return time.Time{}, nil
	}
	var n json.Number
	if json.Unmarshal(c[name], &n) != nil {
		return time.Time{}, unauthed(name+" must be a number, Unix seconds", nil)
	}
	s, err := n.Float64()
	switch {
	case err != nil || math.IsNaN(s) || s < 0:
		return time.Time{}, unauthed(name+" must be a number, Unix seconds", nil)
	case s > latest:
		return time.Time{}, unauthed(name+" is in milliseconds: it must be Unix seconds", nil)
	}
	return time.Unix(int64(s), 0), nil
}

// text reads a string, "" if the claim is not there.
func (c claims) text(name string) (string, error) {
	if !c.has(name) {
		return "", nil
	}
	s, ok := c.string(c[name])
	if !ok {
		return "", unauthed(name+" must be a string", nil)
	}
	return s, nil
}

// list reads an array of what one reads, or one alone, which the audience may be.
func (c claims) list(name string, one func(json.RawMessage) (string, bool)) ([]string, error) {
	if !c.has(name) {
		return nil, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(c[name], &items) != nil {
		if s, ok := one(c[name]); ok && name == "aud" {
			return []string{s}, nil
		}
		return nil, unauthed(name+" must be an array of strings", nil)
	}
	out := make([]string, len(items))
	for i, raw := range items {
		s, ok := one(raw)
		if !ok {
			return nil, unauthed(name+" must be an array of strings", nil)
		}
		out[i] = s
	}
	return out, nil
}

func (claims) string(raw json.RawMessage) (s string, ok bool) {
	return s, bytes.HasPrefix(raw, []byte(`"`)) && json.Unmarshal(raw, &s) == nil
}

// id reads an id: a string, or a whole number, whose text it is then. Databases count
// users, and PHP keeps what they count as numbers.
func (c claims) id(raw json.RawMessage) (string, bool) {
	if s, ok := c.string(raw); ok {
		return s, true
	}
	digits := strings.TrimPrefix(string(raw), "-")
	return string(raw), digits != "" && strings.Trim(digits, "0123456789") == ""
}
