package apns

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/pushtest"
	"github.com/roomtide/roomtide/push/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is moved by tests.
type clock struct {
	mu sync.Mutex
	at time.Time // guarded by mu
}

// newClock begins at the beginning of a window of provider tokens.
func newClock() *clock { return &clock{at: time.Now().Truncate(window)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, now func() time.Time) (*Provider, *standin.Server) {
	t.Helper()
	s := pushtest.Open(t, now)
	return connect(t, s, now), s
}

// connect makes a provider, as of another node.
func connect(t *testing.T, s *standin.Server, now func() time.Time) *Provider {
	t.Helper()
	key, err := ParseKey(s.P8(), standin.KeyID, standin.TeamID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{
		Key: key, Topics: []string{standin.Topic}, Production: s.URL(), Sandbox: s.URL() + "/sandbox/", Now: now,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSuite(t *testing.T) {
	pushtest.Run(t, func(t *testing.T) pushtest.Harness {
		p, s := open(t, time.Now)
		token := strings.Repeat("0123456789abcdef", 4)
		return pushtest.Harness{
			Provider: p, Standin: s, Service: standin.APNs,
			New:     func() (address, id string) { return s.NewAPNs("production") },
			Secrets: []string{"bearer", "eyJ", "PRIVATE KEY"},
			Bad: []string{
				`{"token":"` + token[1:] + `"}`, `{"token":"zz` + token + `"}`, `{"token":"` + strings.Repeat(token, 10) + `"}`, `{"token":7}`,
				`{"token":"` + token + `","topic":"org.example.other"}`, `{"token":"` + token + `","environment":"test"}`,
			},
			Answers: `
				410 Unregistered                 dead
				410 ExpiredToken                 dead
				400 BadDeviceToken               dead doubtful
				400 DeviceTokenNotForTopic       dead doubtful
				400 BadCollapseId                rejected
				400 MissingTopic                 misconfigured
				400 TopicDisallowed              misconfigured
				403 InvalidProviderToken         misconfigured
				403 ExpiredProviderToken         misconfigured
				403 BadEnvironmentKeyIdInToken   misconfigured
				403 made_up                      misconfigured
				404 BadPath                      rejected
				405 MethodNotAllowed             rejected
				413 PayloadTooLarge              too_large
				429 TooManyRequests              retry
				429 TooManyProviderTokenUpdates  pause
				500 InternalServerError          pause
				503 Shutdown                     pause
				503 ServiceUnavailable           pause`,
		}
	})
}

func note() *push.Notification {
	badge := 4
	return &push.Notification{ID: uuid.NewString(), Title: "T", Text: "B", Collapse: "c", Badge: &badge, Data: map[string]string{"k": "v"}, Expires: time.Now().Add(24 * time.Hour)}
}

func send(t *testing.T, p *Provider, address string) push.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return p.Send(ctx, address, note())
}

func deliver(t *testing.T, p *Provider, address string) {
	t.Helper()
	if o := send(t, p, address); o.Action != push.Delivered {
		t.Fatalf("%+v", o)
	}
}

func closed(t *testing.T, p *Provider) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A provider token serves for 40 minutes; another node and the next start make the same.
func TestProviderTokens(t *testing.T) {
	c := newClock()
	p, s := open(t, c.now)
	defer closed(t, p)
	other := connect(t, s, c.now)
	defer closed(t, other)
	address, _ := s.NewAPNs("production")
	for range 30 { // two hours
		deliver(t, p, address)
		deliver(t, other, address)
		c.advance(4 * time.Minute)
	}
	for _, reason := range s.Refused() {
		t.Error(reason)
	}
}

func TestClockIsWrong(t *testing.T) {
	c := newClock()
	p, s := open(t, c.now)
	defer closed(t, p)
	wrong := newClock()
	p.tokens.now = wrong.now
	address, _ := s.NewAPNs("production")
	for _, row := range []struct {
		by     time.Duration
		reason string
	}{{-2 * window, "ExpiredProviderToken"}, {4 * window, "InvalidProviderToken"}} {
		wrong.advance(row.by)
		if o := send(t, p, address); o.Action != push.Misconfigured || o.Reason != row.reason {
			t.Errorf("%s: %+v", row.by, o)
		}
	}
	wrong.advance(-2 * window)
	deliver(t, p, address)
}

// Requests that come together on a new connection wait for the first one; it stays one
// connection. TestSuite has the same at work: the stand-in refuses a second stream.
func TestOneConnection(t *testing.T) {
	p, s := open(t, time.Now)
	defer closed(t, p)
	address, _ := s.NewAPNs("production")
	var together sync.WaitGroup
	for range 200 {
		together.Go(func() {
			if o := send(t, p, address); o.Action != push.Delivered {
				t.Errorf("%+v", o)
			}
		})
	}
	together.Wait()
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	for _, reason := range s.Refused() {
		t.Error(reason)
	}
}

// A connection whose first request was not answered is not used again; one whose token was
// refused is, by one request alone.
func TestUnprovenConnections(t *testing.T) {
	p, _ := open(t, time.Now)
	defer closed(t, p)
	pool := p.environments[production].pool
	acquire := func() *conn {
		t.Helper()
		c, alone, err := pool.acquire(t.Context())
		if err != nil || !alone {
			t.Fatal(alone, err)
		}
		c.Release() // there is no request
		return c
	}
	first := acquire()
	pool.release(first, true, false, false)
	if again := acquire(); again != first {
		t.Error("another connection after a refused token")
	}
	pool.release(first, true, false, true)
	second := acquire()
	if second == first || first.Err() == nil {
		t.Error("the silent connection goes on")
	}
	waiting, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := pool.acquire(waiting); err == nil {
		t.Error("a second request on a connection that is not proven")
	}
	pool.release(second, true, true, false)
	c, alone, err := pool.acquire(t.Context())
	if err != nil || alone || c != second {
		t.Error(alone, err)
	}
	pool.release(c, alone, true, false)
}

// When the streams of a connection are used up, there is another one, up to the most.
func TestMoreConnections(t *testing.T) {
	const streams = 1000 // of the stand-in
	p, s := open(t, time.Now)
	defer closed(t, p)
	address, _ := s.NewAPNs("production")
	deliver(t, p, address)
	s.Script(standin.Answer{Service: standin.APNs, Do: standin.DoSilence, Times: streams + 1})
	ctx, cancel := context.WithCancel(t.Context())
	var silent sync.WaitGroup
	for range streams + 1 {
		silent.Go(func() {
			if o := p.Send(ctx, address, note()); o.Action != push.Retry {
				t.Errorf("%+v", o)
			}
		})
	}
	for start := time.Now(); s.Connections() < 2; time.Sleep(time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatal("no second connection")
		}
	}
	cancel()
	silent.Wait()
	s.Reset()
	deliver(t, p, address)
}

func TestRequest(t *testing.T) {
	p, s := open(t, time.Now)
	defer closed(t, p)
	address, _ := s.NewAPNs("sandbox")
	n := note()
	if o := p.Send(t.Context(), address, n); o.Action != push.Delivered || o.ID != n.ID {
		t.Fatalf("%+v", o)
	}
	got := s.Notifications()[0]
	for name, want := range map[string]string{
		"apns-topic": standin.Topic, "apns-push-type": "alert", "apns-priority": "10", "apns-id": n.ID,
		"apns-collapse-id": n.CollapseKey(), "apns-expiration": fmt.Sprint(n.Expires.Unix()),
	} {
		if got.Header[name] != want {
			t.Errorf("%s is %q, want %q", name, got.Header[name], want)
		}
	}
	want := `{"aps":{"alert":{"title":"T","body":"B"},"badge":4,"sound":"default","thread-id":"` + n.CollapseKey() + `"},"data":{"k":"v"}}`
	if got.Payload != want {
		t.Errorf("%s, want %s", got.Payload, want)
	}
	badge := 0
	for _, c := range []struct {
		n                       push.Notification
		kind, priority, payload string
	}{
		{push.Notification{Badge: &badge}, "alert", "5", `{"aps":{"badge":0}}`},
		{push.Notification{Data: map[string]string{"k": "v"}}, "background", "5", `{"aps":{"content-available":1},"data":{"k":"v"}}`},
	} {
		c.n.ID, c.n.Expires = uuid.NewString(), time.Now().Add(time.Minute)
		if o := p.Send(t.Context(), address, &c.n); o.Action != push.Delivered {
			t.Fatalf("%+v", o)
		}
		all := s.Notifications()
		got := all[len(all)-1]
		if got.Header["apns-push-type"] != c.kind || got.Header["apns-priority"] != c.priority || got.Payload != c.payload {
			t.Errorf("%+v", got)
		}
	}
}

// A token of the other environment is not taken for gone without a doubt.
func TestEnvironments(t *testing.T) {
	p, s := open(t, time.Now)
	defer closed(t, p)
	address, _ := s.NewAPNs("sandbox")
	wrong := strings.Replace(address, "sandbox", "production", 1)
	if o := send(t, p, wrong); o.Action != push.Dead || !o.Doubtful || o.Reason != "BadDeviceToken" {
		t.Errorf("%+v", o)
	}
	deliver(t, p, address)
	if a, b := p.Service(address), p.Service(wrong); a == b || a != "sandbox/"+standin.Topic {
		t.Error(a, b)
	}
	var a struct{ Token string }
	if err := json.Unmarshal([]byte(address), &a); err != nil {
		t.Fatal(err)
	}
	short, err := p.Check([]byte(`{"token":"` + strings.ToUpper(a.Token) + `"}`))
	if err != nil || short != strings.Replace(`{"token":"TOKEN","topic":"`+standin.Topic+`","environment":"production"}`, "TOKEN", a.Token, 1) {
		t.Error(short, err)
	}
}

// The time of a 410 counts, for devices that have registered again since.
func TestGoneSince(t *testing.T) {
	p, s := open(t, time.Now)
	defer closed(t, p)
	address, id := s.NewAPNs("production")
	since := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
	s.Remove(id, since)
	if o := send(t, p, address); o.Action != push.Dead || !o.Since.Equal(since) {
		t.Errorf("%+v", o)
	}
}

func TestKeyFiles(t *testing.T) {
	_, s := open(t, time.Now)
	good := s.P8()
	key, err := ParseKey(good, standin.KeyID, standin.TeamID)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %s", key, key); strings.Contains(text, fmt.Sprintf("%x", raw)) || text != "APNs key "+standin.KeyID+" APNs key "+standin.KeyID {
		t.Error(text)
	}
	for what, file := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("x"), "cut": good[:len(good)/2], "an RSA key": rsaPEM(t, s), "changed": bytes.Replace(good, []byte("M"), []byte("N"), 1),
	} {
		if k, err := ParseKey(file, standin.KeyID, standin.TeamID); chat.KindOf(err) != chat.Invalid || k != nil {
			t.Errorf("%s: %v, %v", what, k, err)
		}
	}
	for _, ids := range [][2]string{{"", standin.TeamID}, {standin.KeyID, "short"}, {"lowercased", standin.TeamID}} {
		if _, err := ParseKey(good, ids[0], ids[1]); chat.KindOf(err) != chat.Invalid {
			t.Error(ids, err)
		}
	}
	for _, c := range []Config{{}, {Key: key}, {Key: key, Topics: []string{"x"}, Production: "http://x"}, {Key: key, Topics: []string{"x"}, Sandbox: "://"}} {
		if _, err := New(c); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// rsaPEM is the key of the stand-in's service account.
func rsaPEM(t *testing.T, s *standin.Server) []byte {
	t.Helper()
	var a struct {
		Key string `json:"private_key"`
	}
	if err := json.Unmarshal(s.Account(), &a); err != nil {
		t.Fatal(err)
	}
	return []byte(a.Key)
}

func FuzzParseKey(f *testing.F) {
	s, err := standin.Open(standin.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.P8())
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := ParseKey(file, standin.KeyID, standin.TeamID)
		if (k == nil) == (err == nil) || err != nil && chat.KindOf(err) != chat.Invalid {
			t.Fatal(k, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add([]byte(`{"token":"` + strings.Repeat("0123456789abcdef", 4) + `","environment":"sandbox"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &Provider{topics: []string{"a"}}
		once, err := p.Check(text)
		if err != nil {
			return
		}
		if twice, err := p.Check([]byte(once)); err != nil || twice != once {
			t.Fatalf("%s becomes %s, %v", once, twice, err)
		}
	})
}
