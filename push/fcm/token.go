package fcm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/push"
)

const (
	scope = "https://www.googleapis.com/auth/firebase.messaging"

	early      = 5 * time.Minute  // before its end, a token is renewed while it is still used
	tooSoon    = 10 * time.Second // after an attempt to renew a token that is still good
	fetchLimit = 10 * time.Second
	assertLife = time.Hour // the longest that Google takes
)

// tokens has the access token with which messages are sent. One fetch runs at a time, and
// all attempts wait for that one. Safe for concurrent use.
type tokens struct {
	// Set once.
	account *Account
	url     string
	rt      http.RoundTripper
	now     func() time.Time
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu sync.Mutex

	// Guarded by mu.
	token    string
	ends     time.Time
	tried    time.Time
	fetching chan struct{} // closed when the fetch that runs is done; nil: none runs
	failed   *push.Outcome // what came of the last fetch; nil: a token
}

func newTokens(a *Account, url string, rt http.RoundTripper, now func() time.Time) *tokens {
	t := &tokens{account: a, url: url, rt: rt, now: now}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *tokens) close() {
	t.cancel()
	t.working.Wait()
}

// get returns a token that is good, or why there is none.
func (t *tokens) get(ctx context.Context) (string, *push.Outcome) {
	t.mu.Lock()
	now := t.now()
	left := t.ends.Sub(now)
	token := t.token
	if left > early || (left > 0 && now.Sub(t.tried) < tooSoon) {
		t.mu.Unlock()
		return token, nil
	}
	done := t.fetch(now)
	t.mu.Unlock()
	if left > 0 {
		return token, nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		o := push.Failed(ctx, ctx.Err())
		return "", &o
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.failed
}

// drop forgets a token that the service did not take.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token, t.ends = "", time.Time{}
	}
}

// fetch starts a fetch, if none runs; mu is held. It has its own deadline, so that the end
// of one attempt does not fail the others.
func (t *tokens) fetch(now time.Time) <-chan struct{} {
	if t.fetching != nil {
		return t.fetching
	}
	done := make(chan struct{})
	t.fetching, t.tried = done, now
	t.working.Go(func() {
		ctx, cancel := context.WithTimeout(t.ctx, fetchLimit)
		defer cancel()
		token, life, o := t.exchange(ctx, now)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.fetching, t.failed = nil, o
		if o == nil {
			t.token, t.ends = token, now.Add(life)
		}
		close(done)
	})
	return done
}

// exchange gives an assertion, signed with the account's key, for an access token.
func (t *tokens) exchange(ctx context.Context, now time.Time) (token string, life time.Duration, failed *push.Outcome) {
	assertion := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": t.account.Email, "scope": scope, "aud": t.url, "iat": now.Unix(), "exp": now.Add(assertLife).Unix(),
	})
	assertion.Header["kid"] = t.account.keyID
	signed, err := assertion.SignedString(t.account.key)
	if err != nil {
		return "", 0, &push.Outcome{Action: push.Misconfigured, Reason: "signature", Err: err}
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, &push.Outcome{Action: push.Misconfigured, Reason: "token_url", Err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := t.rt.RoundTrip(req)
	if err != nil {
		o := push.Failed(ctx, err)
		return "", 0, &o
	}
	return t.granted(ctx, resp, signed)
}

// granted reads the answer to an assertion.
func (t *tokens) granted(ctx context.Context, resp *http.Response, assertion string) (string, time.Duration, *push.Outcome) {
	body, err := push.Body(resp)
	if err != nil {
		o := push.Failed(ctx, err)
		return "", 0, &o
	}
	var a struct {
		Token       string `json:"access_token"`
		Expires     int64  `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err = json.Unmarshal(body, &a)
	if resp.StatusCode == http.StatusOK && (err != nil || a.Token == "" || a.Expires <= 0 || a.Expires > 24*60*60) {
		return "", 0, &push.Outcome{Action: push.Pause, Reason: "bad_token_answer"}
	}
	o := tokenAnswers.Outcome(resp.StatusCode, a.Error, t.now())
	if o.Action == push.Delivered {
		return a.Token, time.Duration(a.Expires) * time.Second, nil
	}
	if after := push.RetryAfter(resp.Header, t.now()); after > 0 {
		o.After = after
	}
	o.Err = push.Said(a.Description, assertion)
	return "", 0, &o
}
