package standin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/internal/ece"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a stand-in and a client that knows HTTP alone.
type world struct {
	*testing.T
	*Server
	rt *http.Transport

	mu  sync.Mutex
	off time.Duration // guarded by mu: of the clock
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.off)
}

func newWorld(t *testing.T) *world {
	w := &world{T: t}
	var err error
	if w.Server, err = Open(Config{Now: w.now}); err != nil {
		t.Fatal(err)
	}
	w.rt = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: w.Roots()}}
	t.Cleanup(func() {
		w.rt.CloseIdleConnections()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// request is one that is changed before it is sent.
type request struct {
	method, url string
	header      map[string]string
	body        string
	claims      jwt.MapClaims // of the token in it
	kid         string
	key         any // that signs
}

func (w *world) do(q *request) (status int, answer string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		w.Fatal(err)
	}
	for name, value := range q.header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := w.rt.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (w *world) sign(method jwt.SigningMethod, q *request) string {
	w.Helper()
	token := jwt.NewWithClaims(method, q.claims)
	if q.kid != "" {
		token.Header["kid"] = q.kid
	}
	text, err := token.SignedString(q.key)
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// try sends the request that is valid, changed, and compares what is answered.
type try struct {
	what   string
	change func(*request)
	status int
	answer string // is in the answer
}

func (w *world) tries(valid func() *request, send func(*request) (int, string), tries []try) {
	w.Helper()
	if status, answer := send(valid()); status/100 != 2 {
		w.Fatalf("unchanged: %d %s", status, answer)
	}
	for _, c := range tries {
		q := valid()
		q.header = maps.Clone(q.header)
		c.change(q)
		if status, answer := send(q); status != c.status || !strings.Contains(answer, c.answer) {
			w.Errorf("%s: %d %s, want %d %s", c.what, status, answer, c.status, c.answer)
		}
	}
	if status, answer := send(valid()); status/100 != 2 {
		w.Fatalf("unchanged, at the end: %d %s", status, answer)
	}
}

func strange(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	now := w.now()
	valid := func() *request {
		return &request{
			method: "POST", url: w.URL() + "/token", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			body: "urn:ietf:params:oauth:grant-type:jwt-bearer", kid: accountKeyID, key: w.material.accountKey,
			claims: jwt.MapClaims{"iss": accountEmail, "scope": firebaseScope, "aud": w.URL() + "/token", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()},
		}
	}
	send := func(q *request) (int, string) {
		q.body = url.Values{"grant_type": {q.body}, "assertion": {w.sign(jwt.SigningMethodRS256, q)}}.Encode()
		return w.do(q)
	}
	w.tries(valid, send, []try{
		{"another grant", func(q *request) { q.body = "password" }, 400, "invalid_grant"},
		{"another account", func(q *request) { q.claims["iss"] = "x" }, 400, "invalid_grant"},
		{"another scope", func(q *request) { q.claims["scope"] = "email" }, 400, "invalid_grant"},
		{"another audience", func(q *request) { q.claims["aud"] = "x" }, 400, "invalid_grant"},
		{"two hours", func(q *request) { q.claims["exp"] = now.Add(2 * time.Hour).Unix() }, 400, "invalid_grant"},
		{"ended", func(q *request) { q.claims["exp"] = now.Add(-time.Minute).Unix() }, 400, "invalid_grant"},
		{"no end", func(q *request) { delete(q.claims, "exp") }, 400, "invalid_grant"},
		{"another key", func(q *request) { q.kid = "x" }, 400, "invalid_grant"},
	})
}

func TestFCM(t *testing.T) {
	w := newWorld(t)
	_, id := w.NewFCM()
	_, gone := w.NewFCM()
	w.Remove(gone, w.now())
	access := "ya29.test"
	w.access[access] = w.now().Add(time.Hour)
	valid := func() *request {
		return &request{
			method: "POST", url: w.URL() + "/v1/projects/" + Project + "/messages:send", header: map[string]string{"Authorization": "Bearer " + access},
			body: `{"message":{"token":"` + id + `","data":{"k":"v"},"android":{"ttl":"60s","priority":"HIGH"}}}`,
		}
	}
	replace := func(old, new string) func(*request) {
		return func(q *request) { q.body = strings.Replace(q.body, old, new, 1) }
	}
	w.tries(valid, w.do, []try{
		{"no token", func(q *request) { q.header["Authorization"] = "" }, 401, "UNAUTHENTICATED"},
		{"another token", func(q *request) { q.header["Authorization"] = "Bearer x" }, 401, "UNAUTHENTICATED"},
		{"another project", func(q *request) { q.url = strings.Replace(q.url, Project, "x", 1) }, 404, "NOT_FOUND"},
		{"GET", func(q *request) { q.method = "GET" }, 404, "NOT_FOUND"},
		{"unknown field", replace(`"data"`, `"dat"`), 400, "INVALID_ARGUMENT"},
		{"a number in data", replace(`"v"`, `1`), 400, "INVALID_ARGUMENT"},
		{"reserved key", replace(`"k"`, `"google.k"`), 400, "message.data"},
		{"two targets", replace(`"token"`, `"fid":"x","token"`), 400, "INVALID_ARGUMENT"},
		{"bad ttl", replace(`60s`, `60`), 400, "message.android.ttl"},
		{"bad priority", replace(`HIGH`, `high`), 400, "message.android.priority"},
		{"too large", replace(`"v"`, `"`+strings.Repeat("v", 4096)+`"`), 400, "INVALID_ARGUMENT"},
		{"unknown device", replace(id, "x"), 400, "message.token"},
		{"gone", replace(id, gone), 404, "UNREGISTERED"},
	})
	w.Revoke()
	if status, _ := w.do(valid()); status != 401 {
		t.Error("a revoked token is taken", status)
	}
}

func TestAPNs(t *testing.T) {
	w := newWorld(t)
	_, id := w.NewAPNs("production")
	_, other := w.NewAPNs("sandbox")
	_, gone := w.NewAPNs("production")
	w.Remove(gone, time.UnixMilli(1234567890123))
	issued := w.now().Unix()
	valid := func() *request {
		return &request{
			method: "POST", url: w.URL() + "/3/device/" + id, kid: KeyID, key: w.material.apnsKey,
			claims: jwt.MapClaims{"iss": TeamID, "iat": issued}, body: `{"aps":{"alert":{"body":"x"}}}`,
			header: map[string]string{"Apns-Topic": Topic, "Apns-Push-Type": "alert", "Apns-Priority": "10", "Apns-Expiration": "0", "Apns-Id": "eabeae54-14a8-11e5-b60b-1697f925ec7b"},
		}
	}
	good := w.sign(jwt.SigningMethodES256, valid())
	send := func(q *request) (int, string) {
		token := good
		if fresh := valid(); fmt.Sprint(q.claims, q.kid, q.key) != fmt.Sprint(fresh.claims, fresh.kid, fresh.key) {
			token = w.sign(jwt.SigningMethodES256, q)
		}
		if q.header["Authorization"] != "-" {
			q.header["Authorization"] = "bearer " + token
		} else {
			delete(q.header, "Authorization")
		}
		return w.do(q)
	}
	set := func(name, value string) func(*request) { return func(q *request) { q.header[name] = value } }
	w.tries(valid, send, []try{
		{"no token", set("Authorization", "-"), 403, "MissingProviderToken"},
		{"another signature", func(q *request) { q.key = strange(t) }, 403, "InvalidProviderToken"},
		{"another key id", func(q *request) { q.kid = "OTHERKEYID" }, 403, "InvalidProviderToken"},
		{"another team", func(q *request) { q.claims["iss"] = "OTHERTEAM0" }, 403, "InvalidProviderToken"},
		{"an old token", func(q *request) { q.claims["iat"] = issued - 3700 }, 403, "ExpiredProviderToken"},
		{"a token of tomorrow", func(q *request) { q.claims["iat"] = issued + 3700 }, 403, "InvalidProviderToken"},
		{"no time", func(q *request) { delete(q.claims, "iat") }, 403, "InvalidProviderToken"},
		{"a new token at once", func(q *request) { q.claims["iat"] = issued - 1 }, 429, "TooManyProviderTokenUpdates"},
		{"GET", func(q *request) { q.method = "GET" }, 405, "MethodNotAllowed"},
		{"no device", func(q *request) { q.url = w.URL() + "/3/device/" }, 400, "MissingDeviceToken"},
		{"bad path", func(q *request) { q.url += "/x" }, 404, "BadPath"},
		{"bad device", func(q *request) { q.url += "z" }, 400, "BadDeviceToken"},
		{"unknown device", func(q *request) { q.url = w.URL() + "/3/device/" + strings.Repeat("ab", 32) }, 400, "BadDeviceToken"},
		{"device of the sandbox", func(q *request) { q.url = w.URL() + "/3/device/" + other }, 400, "BadDeviceToken"},
		{"gone", func(q *request) { q.url = w.URL() + "/3/device/" + gone }, 410, `"timestamp":1234567890123`},
		{"no topic", set("Apns-Topic", ""), 400, "MissingTopic"},
		{"another topic", set("Apns-Topic", "x"), 400, "TopicDisallowed"},
		{"no type", set("Apns-Push-Type", ""), 400, "InvalidPushType"},
		{"another type", set("Apns-Push-Type", "x"), 400, "InvalidPushType"},
		{"urgent in the background", set("Apns-Push-Type", "background"), 400, "BadPriority"},
		{"priority", set("Apns-Priority", "7"), 400, "BadPriority"},
		{"id", set("Apns-Id", "x"), 400, "BadMessageId"},
		{"expiration", set("Apns-Expiration", "soon"), 400, "BadExpirationDate"},
		{"collapse id", set("Apns-Collapse-Id", strings.Repeat("x", 65)), 400, "BadCollapseId"},
		{"nothing", func(q *request) { q.body = "{}" }, 400, "PayloadEmpty"},
		{"too large", func(q *request) { q.body = `{"aps":{},"x":"` + strings.Repeat("x", 4096) + `"}` }, 413, "PayloadTooLarge"},
		{"an alert in the background", func(q *request) {
			q.header["Apns-Push-Type"], q.header["Apns-Priority"] = "background", "5"
		}, 400, "InvalidPushType"},
	})
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.Roots()}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	defer old.CloseIdleConnections()
	w.rt = old
	if status, answer := send(valid()); status != 0 {
		t.Error("HTTP/1.1 is spoken:", status, answer)
	}
}

// A second stream before the first valid token is reset; after it, there are many.
func TestOneStreamFirst(t *testing.T) {
	w := newWorld(t)
	c := &connection{}
	if !c.enter(w.Server) || c.enter(w.Server) {
		t.Error("not one stream")
	}
	c.leave()
	c.prove()
	if !c.enter(w.Server) || w.Connections() != 1 {
		t.Error("not more streams, or counted twice")
	}
}

func TestWebPush(t *testing.T) {
	w := newWorld(t)
	key := strange(t)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := w.NewWebPush(b64(point))
	if err != nil {
		t.Fatal(err)
	}
	_, gone, err := w.NewWebPush("")
	if err != nil {
		t.Fatal(err)
	}
	w.Remove(gone, w.now())
	to := w.device(id).of.(*subscriber)
	message, err := ece.Seal([]byte(`{"title":"x"}`), to.key.PublicKey(), to.auth)
	if err != nil {
		t.Fatal(err)
	}
	now := w.now()
	valid := func() *request {
		return &request{
			method: "POST", url: w.URL() + "/push/" + id, key: key, body: string(message), kid: "",
			claims: jwt.MapClaims{"aud": w.URL(), "exp": now.Add(time.Hour).Unix(), "sub": "mailto:a@example.org"},
			header: map[string]string{"TTL": "60", "Content-Encoding": "aes128gcm", "Urgency": "high", "Topic": "abc", "k": b64(point)},
		}
	}
	send := func(q *request) (int, string) {
		k := q.header["k"]
		delete(q.header, "k")
		if q.header["Authorization"] == "" {
			q.header["Authorization"] = "vapid t=" + w.sign(jwt.SigningMethodES256, q) + ", k=" + k
		}
		return w.do(q)
	}
	set := func(name, value string) func(*request) { return func(q *request) { q.header[name] = value } }
	w.tries(valid, send, []try{
		{"no token", set("Authorization", "Bearer x"), 401, ""},
		{"another key", func(q *request) {
			other := strange(t)
			p, _ := other.PublicKey.Bytes() // of a key that was just made
			q.key, q.header["k"] = other, b64(p)
		}, 403, "another key"},
		{"another signature", func(q *request) { q.key = strange(t) }, 403, "signature"},
		{"another audience", func(q *request) { q.claims["aud"] = w.URL() + "/" }, 403, "audience"},
		{"ended", func(q *request) { q.claims["exp"] = now.Add(-time.Minute).Unix() }, 403, "ended"},
		{"two days", func(q *request) { q.claims["exp"] = now.Add(48 * time.Hour).Unix() }, 403, "more than a day"},
		{"no subject", func(q *request) { delete(q.claims, "sub") }, 403, "subject"},
		{"no TTL", set("TTL", ""), 400, "TTL"},
		{"another encoding", set("Content-Encoding", "aesgcm"), 415, ""},
		{"urgency", set("Urgency", "now"), 400, "urgency"},
		{"topic", set("Topic", strings.Repeat("x", 33)), 400, "topic"},
		{"too large", func(q *request) { q.body += strings.Repeat("x", 4096) }, 413, ""},
		{"not for the subscriber", func(q *request) { q.body = strings.Repeat("x", 200) }, 400, "encryption"},
		{"unknown", func(q *request) { q.url += "x" }, 404, ""},
		{"gone", func(q *request) { q.url = w.URL() + "/push/" + gone }, 410, ""},
	})
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	post := func(path, body string) (int, string) {
		return w.do(&request{method: "POST", url: w.URL() + path, body: body})
	}
	for body, want := range map[string]int{
		`{"service":"fcm","status":503}`: 204, `{"service":"apns","do":"reset","times":2}`: 204, `{"service":"token"}`: 204,
		`{"service":"x"}`: 400, `{"service":"fcm","do":"x"}`: 400, `{"service":"fcm","status":7}`: 400, `x`: 400, "{}" + strings.Repeat(" ", 5000): 400,
	} {
		if status, answer := post("/standin/answers", body); status != want {
			t.Errorf("%.50s: %d %s", body, status, answer)
		}
	}
	for service, want := range map[string]int{"fcm": 200, "apns": 200, "webpush": 200, "x": 400} {
		status, answer := post("/standin/targets", `{"service":"`+service+`"}`)
		if status != want || (want == 200 && !json.Valid([]byte(answer))) {
			t.Errorf("%s: %d %s", service, status, answer)
		}
	}
	_, id := w.NewFCM()
	if status, _ := w.do(&request{method: "DELETE", url: w.URL() + "/standin/targets/" + url.PathEscape(id)}); status != 204 || w.device(id).gone.IsZero() {
		t.Error("not removed", status)
	}
	for _, path := range []string{"/standin/notifications", "/standin/refused"} {
		if status, answer := w.do(&request{method: "GET", url: w.URL() + path}); status != 200 || !json.Valid(bytes.TrimSpace([]byte(answer))) {
			t.Error(path, status, answer)
		}
	}
}
