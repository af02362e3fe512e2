package identity

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// users keeps in memory what is known of users.
type users struct {
	known map[chat.UserID]chat.Access
	err   error
}

func (u *users) Access(_ context.Context, user chat.UserID) (chat.Access, error) {
	return u.known[user], u.err
}

func (u *users) Claim(user chat.UserID) {
	a := u.known[user]
	a.User, a.Claimed = user, true
	u.known[user] = a
}

func withUsers(t testing.TB) (*Verifier, *users) {
	kept := &users{known: map[chat.UserID]chat.Access{}}
	cfg := hostConfig(t)
	cfg.Guests, cfg.Users = true, kept
	return mustNew(t, cfg), kept
}

func tokenOf(t testing.TB, user string, iat any) string {
	return sign(t, m{"alg": "HS256", "kid": "hs"}, good(m{"sub": user, "iat": iat}), hmacKey)
}

// A guest has a name until the application has a user of that name, and never after.
func TestGuestsAreNoUsersOfTheApplication(t *testing.T) {
	v, _ := withUsers(t)
	guest, err := v.Hello(t.Context(), "", "ann")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Still(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Bearer(t.Context(), "Bearer "+tokenOf(t, "ann", nil)); err != nil {
		t.Fatal(err)
	}
	v.Speaks("bob")
	for _, user := range []string{"ann", "bob"} {
		if id, err := v.Hello(t.Context(), "", user); id != nil || chat.KindOf(err) != chat.Unauthed {
			t.Errorf("guest %s: %v", user, err)
		}
	}
	if err := v.Still(t.Context(), guest); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("a guest that was there before: %v", err)
	}
	if _, err := v.Hello(t.Context(), "", "cid"); err != nil {
		t.Error(err)
	}
	if id, err := v.Hello(t.Context(), tokenOf(t, "bob", nil), ""); err != nil || id.User != "bob" {
		t.Errorf("%+v, %v", id, err)
	}
}

// A credential that was not accepted claims nothing.
func TestRefusedTokensClaimNothing(t *testing.T) {
	v, kept := withUsers(t)
	_, _ = v.Hello(t.Context(), sign(t, m{"alg": "HS256", "kid": "hs"}, good(m{"exp": 1}), hmacKey), "")
	_, _ = v.Hello(t.Context(), sign(t, m{"alg": "HS256", "kid": "hs"}, good(nil), strangersKey), "")
	_, _ = v.Hello(t.Context(), "", "ann")
	if len(kept.known) != 0 {
		t.Error(kept.known)
	}
}

func TestEndedTokens(t *testing.T) {
	v, kept := withUsers(t)
	old, err := v.Hello(t.Context(), tokenOf(t, "ann", 100), "")
	if err != nil {
		t.Fatal(err)
	}
	kept.known["ann"] = chat.Access{User: "ann", NotBefore: 101, Claimed: true}
	for name, tt := range map[string]struct {
		user string
		iat  any
		ok   bool
	}{
		"made before":            {"ann", 100, false},
		"made just before":       {"ann", 100.9, false},
		"without a time":         {"ann", nil, false},
		"made then":              {"ann", 101, true},
		"made later":             {"ann", noon.Unix(), true},
		"another user's, before": {"bob", 100, true},
	} {
		raw := tokenOf(t, tt.user, tt.iat)
		_, err1 := v.Hello(t.Context(), raw, "")
		_, err2 := v.Bearer(t.Context(), "Bearer "+raw)
		for _, err := range []error{err1, err2} {
			if (err == nil) != tt.ok || err != nil && chat.KindOf(err) != chat.Unauthed {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := v.Still(t.Context(), old); chat.KindOf(err) != chat.Unauthed {
		t.Errorf("a token that was in use: %v", err)
	}
}

// What cannot be looked up admits no client, and says when to come back.
func TestUsersCannotBeLookedUp(t *testing.T) {
	v, kept := withUsers(t)
	kept.err = &chat.Error{Kind: chat.Busy, RetryAfter: 7}
	for _, hello := range [][2]string{{tokenOf(t, "ann", nil), ""}, {"", "ann"}} {
		if id, err := v.Hello(t.Context(), hello[0], hello[1]); id != nil || chat.KindOf(err) != chat.Busy || chat.Public(err).RetryAfter != 7 {
			t.Errorf("%+v, %v", id, err)
		}
	}
}

func TestRevokedAPIKeyIsNotGoodAnyMore(t *testing.T) {
	now := noon
	raw, key, err := NewKey("k", []string{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	keys := []Key{key}
	cfg := hostConfig(t)
	cfg.Now = func() time.Time { return now }
	cfg.APIKeys = func(context.Context) ([]Key, error) { return keys, nil }
	v := mustNew(t, cfg)
	id, err := v.Bearer(t.Context(), "Bearer "+raw)
	if err != nil || v.Still(t.Context(), id) != nil {
		t.Fatal(err)
	}
	for name, after := range map[string][]Key{"revoked": {{ID: key.ID, Hash: key.Hash, Revoked: 1}}, "removed": {}} {
		keys, now = after, now.Add(KeysAge)
		if err := v.Still(t.Context(), id); chat.KindOf(err) != chat.Unauthed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guests beside users with the node's own tokens are worth a warning, once.
func TestGuestsBesideTokensAreNamed(t *testing.T) {
	var log bytes.Buffer
	v := mustNew(t, Config{Guests: true, Anywhere: true, Secret: ownSecret, Log: slog.New(slog.NewTextHandler(&log, nil))})
	raw, err := Mint(ownSecret, "ann", "", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := v.Hello(t.Context(), raw, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "guests are welcome"); n != 1 {
		t.Errorf("%d: %s", n, log.String())
	}
}
