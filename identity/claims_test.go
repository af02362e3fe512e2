package identity

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
)

var strangersKey = []byte("a secret that this node does not know")

// Once the signature holds, the answer and the log name the claim that is wrong, and
// neither repeats the token.
func TestTheWrongClaimIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		claims m
		want   string
	}{
		"a float for a user":      {m{"sub": 1.5}, "sub must be a string"},
		"an object for a user":    {m{"sub": m{"id": 1}}, "sub must be a string"},
		"no user":                 {m{"sub": nil}, "no sub"},
		"null for a user":         {m{"sub": (*int)(nil)}, "no sub"},
		"an empty user":           {m{"sub": ""}, "sub is not a user id"},
		"a name that is no text":  {m{"name": 7}, "name must be a string"},
		"rooms by name":           {m{"rooms": m{"1": "a"}}, "rooms must be an array of strings"},
		"one room":                {m{"rooms": "a"}, "rooms must be an array of strings"},
		"rooms of lists":          {m{"rooms": []any{[]string{"a"}}}, "rooms must be an array of strings"},
		"an empty room":           {m{"rooms": []string{"a", ""}}, "rooms has what is no room id"},
		"no end":                  {m{"exp": nil}, "no exp"},
		"an end in words":         {m{"exp": "tomorrow"}, "exp must be a number"},
		"an end in milliseconds":  {m{"exp": noon.UnixMilli() + 3600_000}, "exp is in milliseconds"},
		"a begin in milliseconds": {m{"nbf": noon.UnixMilli()}, "nbf is in milliseconds"},
		"made in milliseconds":    {m{"iat": noon.UnixMilli()}, "iat is in milliseconds"},
		"made in words":           {m{"iat": "now"}, "iat must be a number"},
		"made before time began":  {m{"iat": -1}, "iat must be a number"},
		"of another issuer":       {m{"iss": "https://other"}, "iss is not the configured one"},
		"an issuer of numbers":    {m{"iss": 1}, "iss must be a string"},
		"for another audience":    {m{"aud": "mail"}, "aud is not the configured one"},
		"an audience of numbers":  {m{"aud": []int{1}}, "aud must be an array of strings"},
		"over":                    {m{"exp": noon.Unix() - 60}, "has expired"},
		"not yet":                 {m{"nbf": noon.Unix() + 60}, "not valid yet"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := hostConfig(t)
			cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			raw := sign(t, m{"alg": "HS256", "kid": "hs"}, good(tt.claims), hmacKey)
			id, err := mustNew(t, cfg).Hello(t.Context(), raw, "")
			if id != nil || chat.KindOf(err) != chat.Unauthed || !strings.Contains(chat.Public(err).Text, tt.want) {
				t.Errorf("%+v, %v", id, err)
			}
			if !strings.Contains(log.String(), tt.want) || strings.Contains(log.String(), raw[len(raw)-20:]) {
				t.Errorf("log: %s", log.String())
			}
			// A stranger learns nothing of the sort.
			forged := sign(t, m{"alg": "HS256", "kid": "hs"}, good(tt.claims), strangersKey)
			if _, err := mustNew(t, cfg).Hello(t.Context(), forged, ""); chat.Public(err).Text != "the token is not valid" {
				t.Errorf("forged: %v", err)
			}
		})
	}
}

// Warnings are for the application's mistakes, few, and not for tokens that ran out.
func TestRefusedTokensDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	cfg := hostConfig(t)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) // from info
	v := mustNew(t, cfg)
	for range 50 {
		_, _ = v.Hello(t.Context(), sign(t, m{"alg": "HS256", "kid": "hs"}, good(m{"exp": 1}), hmacKey), "")
		_, _ = v.Hello(t.Context(), "a.b.c", "")
	}
	if log.Len() != 0 {
		t.Errorf("%s", log.String())
	}
	for range 50 {
		_, _ = v.Hello(t.Context(), sign(t, m{"alg": "HS256", "kid": "hs"}, good(m{"sub": nil}), hmacKey), "")
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// Ids that an application counts are numbers in its tokens.
func TestIDsAsNumbers(t *testing.T) {
	v := mustNew(t, hostConfig(t))
	raw := sign(t, m{"alg": "EdDSA"}, good(m{"sub": 1001, "rooms": []any{7, "b"}, "name": (*string)(nil), "iat": noon.Unix() - 5}), edKey)
	id, err := v.Hello(t.Context(), raw, "")
	if err != nil || id.User != "1001" || !id.Granted("7") || !id.Granted("b") || id.Granted("1001") || id.Name != "" || id.Issued.Unix() != noon.Unix()-5 {
		t.Errorf("%+v, %v", id, err)
	}
}
