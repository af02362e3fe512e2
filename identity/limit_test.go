package identity

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/internal/limit"
)

// remote answers in place of the host's web server; nil hangs until the fetch is
// given up.
type remote struct{ answer func(w http.ResponseWriter) }

func (r *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.answer == nil {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	w := httptest.NewRecorder()
	r.answer(w)
	return w.Result(), nil
}

// hanging returns a Verifier with one permit. Its JWKS URL has published the key "d",
// so long ago that the set is old, and does not answer any more.
func hanging(t *testing.T, waiting int) *Verifier {
	t.Helper()
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"d","x":%q}]}`, b64(edKey.Public().(ed25519.PublicKey)))
	r := &remote{func(w http.ResponseWriter) { fmt.Fprint(w, set) }}
	v := mustNew(t, Config{
		Secret: ownSecret, Guests: true, JWKSURL: "http://host.test/", HTTPClient: &http.Client{Transport: r},
		Limiter: limit.New(limit.Config{Name: "authentications", Permits: 1, MaxWaiting: waiting}),
	})
	if _, err := v.Hello(t.Context(), published(t, "d"), ""); err != nil {
		t.Fatal(err)
	}
	r.answer = nil
	time.Sleep(jwksAge) // of the bubble
	return v
}

func published(t *testing.T, kid string) string {
	t.Helper()
	return sign(t, m{"alg": "EdDSA", "kid": kid}, good(m{"exp": time.Now().Add(time.Hour).Unix()}), edKey)
}

// A JWKS URL that hangs delays tokens whose key it has to give, and no others: no
// permit is held meanwhile.
func TestPermitsWhileTheJWKSHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := hanging(t, 10)
		begin := time.Now()
		var wg sync.WaitGroup
		defer wg.Wait()
		for i := range 10 {
			wg.Go(func() {
				_, err := v.Hello(t.Context(), published(t, fmt.Sprint("unknown", i)), "")
				if chat.KindOf(err) != chat.Unauthed || time.Since(begin) != jwksTimeout {
					t.Errorf("an unknown key: %v after %v", err, time.Since(begin))
				}
			})
		}
		synctest.Wait()
		own, err := Mint(ownSecret, "bob", "", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := v.Hello(t.Context(), own, ""); err != nil || id.User != "bob" || time.Since(begin) != 0 {
			t.Errorf("a key of our own: %v after %v", err, time.Since(begin))
		}
		// No more permits can be yielded, which is no reason to refuse a key that is known.
		if id, err := v.Hello(t.Context(), published(t, "d"), ""); err != nil || id.User != "ann" || time.Since(begin) != 0 {
			t.Errorf("a published key: %v after %v", err, time.Since(begin))
		}
		if _, err := v.Hello(t.Context(), published(t, "new"), ""); chat.KindOf(err) != chat.Busy {
			t.Errorf("one more unknown key: %v", err)
		}
	})
}

// A token whose key is known waits a moment for a newer set, and no longer.
func TestPatienceWithTheJWKS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := hanging(t, 10)
		begin := time.Now()
		if id, err := v.Hello(t.Context(), published(t, "d"), ""); err != nil || id.User != "ann" || time.Since(begin) != jwksPatience {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		time.Sleep(jwksTimeout) // the fetch ends
	})
}

// Tokens and API keys wait for a permit and are rejected when too many wait; guests
// have nothing to verify and need none.
func TestPermitsAreAcquired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw, key, err := NewKey("shop", []string{ScopeAll})
		if err != nil {
			t.Fatal(err)
		}
		own, err := Mint(ownSecret, "bob", "", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		limiter := limit.New(limit.Config{Name: "authentications", Permits: 1, MaxWaiting: 1})
		v := mustNew(t, Config{
			Guests: true, Secret: ownSecret, Limiter: limiter,
			APIKeys: func(context.Context) ([]Key, error) { return []Key{key}, nil },
		})
		prove := map[string]func() error{
			"hello":   func() error { _, err := v.Hello(t.Context(), own, ""); return err },
			"token":   func() error { _, err := v.Bearer(t.Context(), "Bearer "+own); return err },
			"API key": func() error { _, err := v.Bearer(t.Context(), "Bearer "+raw); return err },
		}
		for range 2 { // the second time to see that every permit was released
			if err := limiter.Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			waiter := make(chan error)
			go func() { waiter <- prove["hello"]() }()
			synctest.Wait()
			for name, f := range prove {
				if err := f(); chat.KindOf(err) != chat.Busy {
					t.Errorf("%s, all permits held: %v", name, err)
				}
			}
			if _, err := v.Hello(t.Context(), "", "ann"); err != nil {
				t.Errorf("a guest: %v", err)
			}
			limiter.Release()
			if err := <-waiter; err != nil {
				t.Errorf("the one that waited: %v", err)
			}
			for name, f := range prove {
				if err := f(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
