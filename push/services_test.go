package push_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomtide/roomtide/internal/egress"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/push/apns"
	"github.com/roomtide/roomtide/push/fcm"
	"github.com/roomtide/roomtide/push/standin"
	"github.com/roomtide/roomtide/push/webpush"
)

// services is a gateway with the real drivers, the stand-in behind them, and a target of
// each.
type services struct {
	gateway *push.Gateway
	standin *standin.Server
	targets map[string]push.Target
	log     *lockedLog
	key     string // VAPID

	offset atomic.Int64 // of the clock that all of them go by
}

func (s *services) now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

func (s *services) advance(d time.Duration) { s.offset.Add(int64(d)) }

// lockedLog is what was logged.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func openServices(t testing.TB, concurrent int) *services {
	t.Helper()
	s := &services{targets: map[string]push.Target{}, log: &lockedLog{}}
	var err error
	if s.standin, err = standin.Open(standin.Config{Now: s.now}); err != nil {
		t.Fatal(err)
	}
	s.gateway, err = push.NewGateway(push.Config{
		Providers: s.providers(t), Concurrent: concurrent, Timeout: 30 * time.Second, Now: s.now,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.gateway.Close(), s.standin.Close()); err != nil {
			t.Error(err)
		}
	})
	fcmAddress, _ := s.standin.NewFCM()
	apnsAddress, _ := s.standin.NewAPNs("production")
	webAddress, _, err := s.standin.NewWebPush(s.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"fcm": fcmAddress, "apns": apnsAddress, "webpush": webAddress} {
		if s.targets[name], err = s.gateway.Check(name, []byte(address)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *services) providers(t testing.TB) []push.Provider {
	t.Helper()
	trust := &tls.Config{RootCAs: s.standin.Roots()}
	account, err := fcm.ParseAccount(s.standin.Account())
	if err != nil {
		t.Fatal(err)
	}
	firebase, err := fcm.New(fcm.Config{Account: account, URL: s.standin.URL(), Now: s.now, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: trust}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := apns.ParseKey(s.standin.P8(), standin.KeyID, standin.TeamID)
	if err != nil {
		t.Fatal(err)
	}
	apple, err := apns.New(apns.Config{Key: key, Topics: []string{standin.Topic}, Production: s.standin.URL(), Now: s.now, Transport: &http.Transport{TLSClientConfig: trust}})
	if err != nil {
		t.Fatal(err)
	}
	vapid, err := webpush.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s.key = vapid.String()
	browsers, err := webpush.New(webpush.Config{
		Key: vapid, Subject: "mailto:push@example.org", RootCAs: s.standin.Roots(), Now: s.now,
		Guard: egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return []push.Provider{firebase, apple, browsers}
}

func (s *services) note() *push.Notification {
	badge := 7
	return &push.Notification{
		ID: uuid.NewString(), Title: "General", Text: strings.Repeat("A message of usual length. ", 5), Collapse: "room", Badge: &badge,
		Data: map[string]string{"room": "general", "seq": "4711"}, Expires: s.now().Add(24 * time.Hour),
	}
}

// A service that is down for ten minutes is asked now and then, holds up no other, and gets
// everything when it is back.
func TestServiceIsDownForTenMinutes(t *testing.T) {
	for _, ill := range []string{"fcm", "apns", "webpush"} {
		t.Run(ill, func(t *testing.T) {
			s := openServices(t, 8)
			s.standin.Script(standin.Answer{Service: ill, Status: 503, Times: 1 << 20})
			const jobs = 5
			due := make([]time.Time, jobs)
			end, asked := s.now().Add(10*time.Minute), 0
			for s.now().Before(end) {
				for i := range due {
					if s.now().Before(due[i]) {
						continue
					}
					o := s.gateway.Send(t.Context(), s.targets[ill], s.note())
					if o.Action != push.Pause {
						t.Fatalf("%+v", o)
					}
					if o.Reason != "paused" {
						asked++
					}
					due[i] = s.now().Add(max(o.After, time.Second))
				}
				s.advance(time.Second)
			}
			for name, target := range s.targets {
				if name != ill {
					if o := s.gateway.Send(t.Context(), target, s.note()); o.Action != push.Delivered {
						t.Errorf("%s: %+v", name, o)
					}
				}
			}
			if asked < 8 || asked > 30 {
				t.Errorf("asked %d times in ten minutes", asked)
			}
			s.standin.Reset()
			s.advance(15 * time.Minute)
			for range jobs {
				if o := s.gateway.Send(t.Context(), s.targets[ill], s.note()); o.Action != push.Delivered {
					t.Errorf("%+v", o)
				}
			}
			if n := s.standin.Count(ill); n != jobs {
				t.Errorf("%d of %d arrived", n, jobs)
			}
			log := s.log.String()
			for _, secret := range []string{"eyJ", "ya29", "PRIVATE", s.targets[ill].Address, "A message", "room"} {
				if strings.Contains(log, secret) {
					t.Errorf("the log has %q in it: %s", secret, log)
				}
			}
			if strings.Count(log, "level=WARN") == 0 || strings.Count(log, "level=WARN") > 30 {
				t.Error(log)
			}
		})
	}
}
