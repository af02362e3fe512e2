package fcm

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/pushtest"
	"github.com/roomtide/roomtide/push/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c *pushtest.Clock) (*Provider, *standin.Server) {
	t.Helper()
	s := pushtest.Open(t, c.Now)
	a, err := ParseAccount(s.Account())
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Account: a, URL: s.URL(), Now: c.Now, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: s.Roots()}}})
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

func TestSuite(t *testing.T) {
	pushtest.Run(t, func(t *testing.T) pushtest.Harness {
		p, s := open(t, &pushtest.Clock{})
		return pushtest.Harness{
			Provider: p, Standin: s, Service: standin.FCM, New: s.NewFCM,
			Secrets: []string{"ya29.", "Bearer", "PRIVATE KEY"},
			Bad:     []string{`{"token":""}`, `{"token":"a","fid":"b"}`, `{"token":"a b"}`, `{"token":"é"}`, `{"token":1}`, `{"token":"` + strings.Repeat("x", 5000) + `"}`},
			Answers: `
				404 UNREGISTERED            dead
				403 SENDER_ID_MISMATCH      dead doubtful
				400 INVALID_ARGUMENT        rejected
				401 THIRD_PARTY_AUTH_ERROR  retry
				403 PERMISSION_DENIED       misconfigured
				404 NOT_FOUND               misconfigured
				413 -                       too_large
				418 -                       pause
				429 QUOTA_EXCEEDED          pause
				500 INTERNAL                pause
				503 UNAVAILABLE             pause`,
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

// One access token serves until five minutes before its end, then is renewed while it is
// still used.
func TestAccessTokens(t *testing.T) {
	c := &pushtest.Clock{}
	p, s := open(t, c)
	defer p.Close()
	address, _ := s.NewFCM()
	deliver := func() {
		t.Helper()
		if o := send(t, p, address); o.Action != push.Delivered {
			t.Fatalf("%+v", o)
		}
	}
	var together sync.WaitGroup
	for range 20 {
		together.Go(deliver)
	}
	together.Wait()
	c.Advance(50 * time.Minute)
	deliver()
	if n := s.Count(standin.Token); n != 1 {
		t.Fatalf("%d tokens were fetched", n)
	}
	c.Advance(7 * time.Minute) // 57 of 60
	deliver()
	p.tokens.working.Wait()
	if n := s.Count(standin.Token); n != 2 {
		t.Fatalf("%d tokens after nearly an hour", n)
	}
	s.Script(standin.Answer{Service: standin.Token, Status: 503, Times: 2})
	c.Advance(56 * time.Minute)
	deliver() // the old one is still good
	p.tokens.working.Wait()
	deliver() // and no second attempt so soon
	c.Advance(10 * time.Minute)
	if o := send(t, p, address); o.Action != push.Pause || o.Reason != "503" {
		t.Fatalf("%+v", o)
	}
	deliver()
	for _, reason := range s.Refused() {
		t.Error(reason)
	}
}

func TestAccessTokenIsRefused(t *testing.T) {
	p, s := open(t, &pushtest.Clock{})
	defer p.Close()
	address, _ := s.NewFCM()
	for range 2 {
		if o := send(t, p, address); o.Action != push.Delivered {
			t.Fatalf("%+v", o)
		}
		s.Revoke()
	}
	s.Script(standin.Answer{Service: standin.FCM, Status: 401})
	if o := send(t, p, address); o.Action != push.Misconfigured || s.Count(standin.Token) != 3 { // a fresh token is refused as well
		t.Fatalf("%+v after %d tokens", o, s.Count(standin.Token))
	}
}

func TestAccountIsRefused(t *testing.T) {
	for status, want := range map[int]push.Action{400: push.Misconfigured, 401: push.Misconfigured, 403: push.Misconfigured, 429: push.Pause, 500: push.Pause} {
		p, s := open(t, &pushtest.Clock{})
		address, _ := s.NewFCM()
		s.Script(standin.Answer{Service: standin.Token, Status: status})
		if o := send(t, p, address); o.Action != want {
			t.Errorf("%d: %+v", status, o)
		}
		s.Script(standin.Answer{Service: standin.Token, Do: standin.DoGarbage, Status: 200})
		if o := send(t, p, address); o.Action != push.Pause || o.Reason != "bad_token_answer" {
			t.Errorf("garbage: %+v", o)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	c := &pushtest.Clock{} // a clock that is wrong
	p, s := open(t, &pushtest.Clock{})
	defer p.Close()
	p.tokens.now = c.Now
	c.Advance(-3 * time.Hour)
	address, _ := s.NewFCM()
	if o := send(t, p, address); o.Action != push.Misconfigured || o.Reason != "invalid_grant" {
		t.Errorf("%+v", o)
	}
}

func TestMessage(t *testing.T) {
	p, s := open(t, &pushtest.Clock{})
	defer p.Close()
	address, id := s.NewFCM()
	if o := send(t, p, address); o.Action != push.Delivered || !strings.HasPrefix(o.ID, "projects/"+standin.Project+"/messages/") {
		t.Fatalf("%+v", o)
	}
	var got struct {
		Message struct {
			Token        string
			Notification map[string]string
			Data         map[string]string
			Android      struct {
				Priority, TTL string
				Collapse      string `json:"collapse_key"`
				Notification  struct {
					Tag   string
					Count int `json:"notification_count"`
				}
			}
			APNS struct {
				Headers map[string]string
				Payload struct {
					APS struct{ Badge int }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(s.Notifications()[0].Payload), &got); err != nil {
		t.Fatal(err)
	}
	m, key := got.Message, note().CollapseKey()
	if m.Token != id || m.Notification["title"] != "T" || m.Notification["body"] != "B" || m.Data["k"] != "v" ||
		m.Android.Priority != "HIGH" || (m.Android.TTL != "3599s" && m.Android.TTL != "3600s") || m.Android.Collapse != key ||
		m.Android.Notification.Tag != key || m.Android.Notification.Count != 4 ||
		m.APNS.Headers["apns-collapse-id"] != key || m.APNS.Headers["apns-priority"] != "10" || m.APNS.Payload.APS.Badge != 4 {
		t.Errorf("%+v", m)
	}
	n := note()
	n.Data = map[string]string{"google.x": "1"}
	if o := p.Send(t.Context(), address, n); o.Action != push.Rejected || o.Reason != "reserved_key" {
		t.Errorf("%+v", o)
	}
}

// What FCM says about a token alone is about the target; about more, it is about the message.
func TestInvalidArgument(t *testing.T) {
	p, s := open(t, &pushtest.Clock{})
	defer p.Close()
	if o := send(t, p, `{"token":"never-registered"}`); o.Action != push.Dead || !o.Doubtful || o.Reason != invalidToken {
		t.Errorf("%+v", o)
	}
	_ = s
	for body, want := range map[string]string{
		`{"error":{"status":"INVALID_ARGUMENT","message":"The registration token is not a valid FCM registration token","details":[{"errorCode":"INVALID_ARGUMENT"}]}}`: invalidToken,
		`{"error":{"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"message.token"}]},{"errorCode":"INVALID_ARGUMENT"}]}}`:                          invalidToken,
		`{"error":{"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"message.token"},{"field":"message.data[0].value"}]}]}}`:                         "INVALID_ARGUMENT",
		`{"error":{"status":"INVALID_ARGUMENT","message":"Android message is too big","details":[{"errorCode":"INVALID_ARGUMENT"}]}}`:                                   "INVALID_ARGUMENT",
		`{"error":{"status":"UNAVAILABLE","details":[{"errorCode":"UNAVAILABLE"}]}}`:                                                                                    "UNAVAILABLE",
		`{"error":{"status":"PERMISSION_DENIED"}}`: "",
		`[1]`: "", ``: "",
	} {
		if got, _ := readFailure([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestAccountFiles(t *testing.T) {
	_, s := open(t, &pushtest.Clock{})
	good := string(s.Account())
	a, err := ParseAccount([]byte(good))
	if err != nil || a.Project != standin.Project {
		t.Fatal(a, err)
	}
	for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%v %+v %#v", a, *a, a.Email)} {
		if strings.Contains(text, a.key.D.String()) {
			t.Errorf("%s has the key in it", text)
		}
	}
	for what, file := range map[string]string{
		"not JSON":       "x" + good,
		"another file":   `{"project_info":{}}`,
		"no project":     strings.Replace(good, "project_id", "x", 1),
		"a bad project":  strings.Replace(good, standin.Project+`"`, `a/b"`, 1),
		"no key":         strings.Replace(good, `"private_key"`, `"x"`, 1),
		"no PEM":         strings.Replace(good, "-----BEGIN", "", 1),
		"a broken key":   strings.Replace(good, "MII", "MIX", 1),
		"no token url":   strings.Replace(good, "token_uri", "x", 1),
		"http token url": strings.Replace(good, "https://127", "http://127", 1),
	} {
		a, err := ParseAccount([]byte(file))
		if chat.KindOf(err) != chat.Invalid || a != nil {
			t.Errorf("%s: %v, %v", what, a, err)
		} else if strings.Contains(err.Error(), "MII") || !strings.Contains(err.Error(), "service account file") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, c := range []Config{{}, {Account: a, URL: "http://x"}, {Account: a, TokenURL: "x"}} {
		if _, err := New(c); chat.KindOf(err) != chat.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func FuzzParseAccount(f *testing.F) {
	f.Add([]byte(`{"type":"service_account","project_id":"p","private_key_id":"k","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n","client_email":"e","token_uri":"https://x"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := ParseAccount(file)
		if (a == nil) == (err == nil) || err != nil && chat.KindOf(err) != chat.Invalid {
			t.Fatal(a, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add([]byte(`{"token":"a:b-c_d"}`))
	f.Add([]byte(`{"fid":"x","token":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := &Provider{}
		once, err := p.Check(text)
		if err != nil {
			return
		}
		if twice, err := p.Check([]byte(once)); err != nil || twice != once {
			t.Fatalf("%s becomes %s, %v", once, twice, err)
		}
	})
}
