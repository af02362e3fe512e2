package webpush

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/egress"
	"github.com/roomtide/roomtide/internal/lru"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/pushtest"
	"github.com/roomtide/roomtide/push/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback is where the stand-in is.
var loopback = egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func open(t *testing.T, c *pushtest.Clock, guard egress.Guard) (*Provider, *standin.Server) {
	t.Helper()
	s := pushtest.Open(t, c.Now)
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Key: key, Subject: "mailto:push@example.org", Guard: guard, RootCAs: s.Roots(), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, s
}

// subscribe returns a subscription for the provider's key.
func subscribe(t *testing.T, p *Provider, s *standin.Server) (address, id string) {
	t.Helper()
	address, id, err := s.NewWebPush(p.tokens.key.String())
	if err != nil {
		t.Fatal(err)
	}
	return address, id
}

// Keys of the example of RFC 8291.
const exampleKeys = `"keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}`

func TestSuite(t *testing.T) {
	pushtest.Run(t, func(t *testing.T) pushtest.Harness {
		p, s := open(t, &pushtest.Clock{}, loopback)
		return pushtest.Harness{
			Provider: p, Standin: s, Service: standin.WebPush,
			New:     func() (address, id string) { return subscribe(t, p, s) },
			Secrets: []string{"vapid t=", "eyJ"},
			Bad: []string{
				`{"endpoint":"https://push.example.net/x"}`, `{"endpoint":"http://push.example.net/x",` + exampleKeys + `}`,
				`{"endpoint":"https://u:p@push.example.net/x",` + exampleKeys + `}`, `{"endpoint":"https:///x",` + exampleKeys + `}`,
				`{"endpoint":"https://10.0.0.1/x",` + exampleKeys + `}`, `{"endpoint":"https://[::1]/x",` + exampleKeys + `}`,
				`{"endpoint":"https://[::ffff:10.0.0.1]/x",` + exampleKeys + `}`, `{"endpoint":"https://169.254.169.254/x",` + exampleKeys + `}`,
				`{"endpoint":"https://a/` + strings.Repeat("x", 3000) + `",` + exampleKeys + `}`, `{"endpoint":7,` + exampleKeys + `}`,
				`{"endpoint":"https://a/x",` + strings.Replace(exampleKeys, "BCV", "ACV", 1) + `}`, `{"endpoint":"https://a/x",` + strings.Replace(exampleKeys, "xsr", "xsx", 1) + `}`,
				`{"endpoint":"https://a/x",` + strings.Replace(exampleKeys, "SIgg", "SI", 1) + `}`,
			},
			Answers: `
				404 -                    dead
				410 -                    dead
				401 -                    dead doubtful
				403 -                    dead doubtful
				400 VapidPkHashMismatch  dead doubtful
				403 BadJwtToken          misconfigured
				413 -                    too_large
				400 -                    rejected
				418 -                    pause
				429 -                    pause
				500 -                    pause
				502 -                    pause
				503 -                    pause`,
		}
	})
}

func note() *push.Notification {
	badge := 4
	return &push.Notification{ID: "1", Title: "T", Text: "B", Collapse: "c", Badge: &badge, Data: map[string]string{"k": "v"}, Expires: time.Now().Add(time.Hour)}
}

func send(t *testing.T, p *Provider, address string) push.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return p.Send(ctx, address, note())
}

func TestRequest(t *testing.T) {
	p, s := open(t, &pushtest.Clock{}, loopback)
	address, _ := subscribe(t, p, s)
	if o := send(t, p, address); o.Action != push.Delivered {
		t.Fatalf("%+v", o)
	}
	got, key := s.Notifications()[0], note().CollapseKey()
	if want := `{"id":"1","title":"T","body":"B","tag":"` + key + `","badge":4,"data":{"k":"v"}}`; got.Payload != want {
		t.Errorf("%s, want %s", got.Payload, want)
	}
	for name, want := range map[string]string{"content-encoding": "aes128gcm", "urgency": "high", "topic": key} {
		if got.Header[name] != want {
			t.Errorf("%s is %q, want %q", name, got.Header[name], want)
		}
	}
	if ttl := got.Header["ttl"]; ttl != "3599" && ttl != "3600" {
		t.Error("TTL", ttl)
	}
}

// The token of an origin serves until an hour before its end, and not when the clock was
// set back.
func TestTokensAreKept(t *testing.T) {
	c := &pushtest.Clock{}
	p, s := open(t, c, loopback)
	address, _ := subscribe(t, p, s)
	header := func() string {
		t.Helper()
		if o := send(t, p, address); o.Action != push.Delivered && o.Action != push.Expired {
			t.Fatalf("%+v", o)
		}
		h, err := p.tokens.authorization(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := header()
	c.Advance(10*time.Hour + 55*time.Minute)
	if header() != first {
		t.Error("made anew too soon")
	}
	c.Advance(10 * time.Minute)
	second := header()
	if second == first {
		t.Error("kept for too long")
	}
	c.Advance(-40 * time.Hour)
	if header() == second {
		t.Error("kept, and lasts for more than a day now")
	}
	if other, err := p.tokens.authorization("https://other.example"); err != nil || other == second {
		t.Error("one token for two origins", err)
	}
}

// A subscription that was made for another key cannot be used; it is no setting of the node.
func TestAnotherKey(t *testing.T) {
	p, s := open(t, &pushtest.Clock{}, loopback)
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	address, _, err := s.NewWebPush(other.String())
	if err != nil {
		t.Fatal(err)
	}
	if o := send(t, p, address); o.Action != push.Dead || !o.Doubtful {
		t.Errorf("%+v", o)
	}
}

// An endpoint whose name leads inside is not connected to.
func TestEndpointsInside(t *testing.T) {
	p, s := open(t, &pushtest.Clock{}, egress.Guard{})
	address, _ := subscribe(t, p, s)
	if _, err := p.Check([]byte(address)); chat.KindOf(err) != chat.Invalid {
		t.Error(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if o := send(t, p, strings.Replace(address, "127.0.0.1", host, 1)); o.Action != push.Rejected || o.Reason != "inside" {
			t.Errorf("%s: %+v", host, o)
		}
	}
}

func TestCanonicalForm(t *testing.T) {
	p := &Provider{}
	raw := `{"endpoint":"https://Push.Example.NET:443/a?b=c","expirationTime":null,"keys":{"auth":"BTBZMqHH6r4Tts7J/aSIgg==","p256dh":"BCVxsr7N/eNgVRqvHtD0zTZsEc6+VV+JvLexhqUzORcxaOzi6+AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4="}}`
	got, err := p.Check([]byte(raw))
	if want := `{"endpoint":"https://push.example.net/a?b=c",` + exampleKeys + `}`; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if s := p.Service(got); s != "https://push.example.net" {
		t.Error(s)
	}
}

// Section 2.4 of RFC 8292: the token of the example verifies, and those
// that are made here have its form.
func TestVectorOfRFC8292(t *testing.T) {
	const token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA"
	const public = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
	verify := func(token, public string) map[string]any {
		t.Helper()
		raw, err := decode64(public)
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.MapClaims{}
		if _, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation()).
			ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw) }); err != nil {
			t.Fatal(err)
		}
		return claims
	}
	want := verify(token, public)

	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	source := tokens{key: key, subject: "mailto:push@example.com", now: func() time.Time { return time.Unix(1453523768, 0).Add(-tokenLife) }, cache: lru.New[string, vapidToken](4)}
	header, err := source.authorization("https://push.example.net")
	if err != nil {
		t.Fatal(err)
	}
	scheme, rest, _ := strings.Cut(header, " t=")
	made, k, _ := strings.Cut(rest, ", k=")
	if scheme != "vapid" || k != key.String() {
		t.Error(header)
	}
	got := verify(made, k)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Error(got)
	}
}

func TestKeys(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := key.Secret()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(secret + "\n")
	if err != nil || again.String() != key.String() {
		t.Fatal(again, err)
	}
	for _, bad := range []string{"", "x", secret[1:], secret + secret, strings.Repeat("A", 43), strings.Repeat("_", 43), "*" + secret[1:]} {
		if k, err := ParseKey(bad); chat.KindOf(err) != chat.Invalid || k != nil || (len(bad) > 20 && strings.Contains(err.Error(), bad)) {
			t.Errorf("%q: %v, %v", bad, k, err)
		}
	}
	for _, c := range []Config{{}, {Key: key}, {Key: key, Subject: "push@example.org"}, {Key: key, Subject: "mailto:x"}, {Key: key, Subject: "http://x"}} {
		if _, err := New(c); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzParseSubscription(f *testing.F) {
	f.Add([]byte(`{"endpoint":"https://push.example.net/x",` + exampleKeys + `}`))
	f.Add([]byte(`{"endpoint":"https://%41:443/?#","keys":null}`))
	f.Add([]byte(`{"endpoint":"https://[fe80::1%25eth0]:1/",` + exampleKeys + `}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &Provider{}
		once, err := p.Check(text)
		if err != nil {
			if chat.KindOf(err) != chat.Invalid {
				t.Fatal(err)
			}
			return
		}
		if twice, err := p.Check([]byte(once)); err != nil || twice != once {
			t.Fatalf("%s becomes %s, %v", once, twice, err)
		}
		if !strings.HasPrefix(p.Service(once), "https://") || !json.Valid([]byte(once)) {
			t.Fatal(once)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if (k == nil) == (err == nil) || err != nil && chat.KindOf(err) != chat.Invalid {
			t.Fatal(k, err)
		}
	})
}
