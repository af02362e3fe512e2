package server

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/push/standin"
	"github.com/roomtide/roomtide/push/webpush"
)

// pushing is a node that pushes to stand-ins.
type pushing struct {
	*testing.T
	s        *Server
	services *standin.Server
	devices  map[string]string // name of the target by its id
}

// pushSettings are those for stand-ins, whose files are in dir.
func pushSettings(t *testing.T, services *standin.Server, delay time.Duration) *config.Config {
	t.Helper()
	cfg := settings(t)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := &cfg.Push
	p.CAFile = file("ca.pem", services.Certificate())
	p.FCMAccountFile, p.FCMURL = file("account.json", services.Account()), services.URL()
	p.APNsKeyFile, p.APNsKeyID, p.APNsTeam, p.APNsTopics = file("key.p8", services.P8()), standin.KeyID, standin.TeamID, []string{standin.Topic}
	p.APNsURL, p.APNsSandboxURL = services.URL(), services.URL()+"/sandbox"
	p.WebPushSubject, p.WebPushAllow = "mailto:push@example.org", []string{"127.0.0.0/8"}
	p.Delay = config.Duration(delay)
	return cfg
}

func openPushing(t *testing.T, delay time.Duration) *pushing {
	t.Helper()
	services, err := standin.Open(standin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Close() })
	return &pushing{T: t, s: open(t, pushSettings(t, services, delay)), services: services, devices: map[string]string{}}
}

// register gives a user a device, and returns its name.
func (p *pushing) register(user chat.UserID, provider string) string {
	p.Helper()
	var address, id string
	var err error
	switch provider {
	case standin.FCM:
		address, id = p.services.NewFCM()
	case standin.APNs:
		address, id = p.services.NewAPNs("sandbox")
	case standin.WebPush:
		if address, id, err = p.services.NewWebPush(p.s.vapid); err != nil {
			p.Fatal(err)
		}
	}
	to, err := p.s.gateway.Check(provider, []byte(address))
	if err != nil {
		p.Fatal(err)
	}
	name := string(user) + "'s " + provider
	p.do(&change.RegisterDevice{User: user, Device: strings.ReplaceAll(name, " ", "-"), Provider: to.Provider, Address: to.Address, At: time.Now().UnixMilli()})
	p.devices[id] = name
	return name
}

func (p *pushing) do(c change.Change) change.Reply {
	p.Helper()
	r, err := p.s.lanes.Do(p.Context(), c)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

func (p *pushing) join(room chat.RoomID, users ...chat.UserID) {
	p.Helper()
	for _, u := range users {
		if _, err := p.s.engine.Join(p.Context(), engine.Actor{User: u}, room, engine.JoinOptions{}); err != nil {
			p.Fatal(err)
		}
	}
	p.until("the users have the room in their lists", func() bool {
		for _, u := range users {
			if _, err := p.s.store.User(u).UserRoom(p.Context(), u, room); err != nil {
				return false
			}
		}
		return true
	})
}

func (p *pushing) send(room chat.RoomID, user chat.UserID, text string) {
	p.Helper()
	_, err := p.s.engine.Do(p.Context(), engine.Actor{User: user}, &change.Send{Room: room, Draft: chat.Draft{Text: text}})
	if err != nil {
		p.Fatal(err)
	}
}

// until waits for a condition.
func (p *pushing) until(what string, ok func() bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("not within a minute: %s; got %v, refused %v", what, p.got(), p.services.Refused())
		}
	}
}

// got is what was pushed to each device, in order.
func (p *pushing) got() map[string][]string {
	got := map[string][]string{}
	for _, n := range p.services.Notifications() {
		name := p.devices[n.Target]
		got[name] = append(got[name], n.Payload)
	}
	return got
}

// Messages reach the members who are away once on each of their devices, as one
// notification for a burst: not the author, not those who have read or who look. What is
// read elsewhere lowers the badge without a word.
func TestPush(t *testing.T) {
	p := openPushing(t, 6*time.Second) // for a loaded machine to read in
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.s.Run(ctx) }()
	defer func() {
		stop()
		<-ended
	}()
	for _, user := range []chat.UserID{"ann", "cid", "dan", "eve"} {
		p.register(user, standin.FCM)
	}
	bobs := []string{p.register("bob", standin.FCM), p.register("bob", standin.APNs), p.register("bob", standin.WebPush)}
	p.join("room", "ann", "bob", "cid", "dan", "eve")
	for user, looks := range map[string]bool{"dan": true, "eve": false} {
		c, err := client.Dial(ctx, client.Options{URL: p.s.URL(), User: user})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Foreground(looks)
		p.until("the client has said so", func() bool { return (p.s.hub.Reach([]chat.UserID{chat.UserID(user)})[0] == chat.Foreground) == looks })
	}
	var burst []engine.Sending
	for _, text := range []string{"one", "two", "three"} {
		burst = append(burst, engine.Sending{Actor: engine.Actor{User: "ann"}, Send: &change.Send{Room: "room", Draft: chat.Draft{Text: text}}})
	}
	sent := p.s.engine.SendAll(ctx, burst, time.Second)
	last := sent[2].Reply.Seq
	if sent[2].Err != nil {
		t.Fatal(sent[2].Err)
	}
	if _, err := p.s.engine.Read(ctx, engine.Actor{User: "cid"}, "room", last); err != nil {
		t.Fatal(err)
	}
	p.until("those who are away have it", func() bool { return len(p.services.Notifications()) >= 4 })
	for name, ns := range p.got() {
		if len(ns) != 1 || !strings.Contains(ns[0], "three") || !strings.Contains(ns[0], "ann") || (name != "eve's fcm" && !strings.HasPrefix(name, "bob's")) {
			t.Errorf("%s got %q", name, ns)
		}
	}
	if got := p.got()[bobs[1]]; len(got) != 1 || !strings.Contains(got[0], `"badge":3`) {
		t.Errorf("the badge: %q", got)
	}
	if _, err := p.s.engine.Read(ctx, engine.Actor{User: "bob"}, "room", last); err != nil {
		t.Fatal(err)
	}
	p.until("the badges are lowered", func() bool {
		got := p.got()
		return len(got[bobs[0]])+len(got[bobs[1]])+len(got[bobs[2]]) >= 6
	})
	for _, name := range bobs {
		if ns := p.got()[name]; len(ns) != 2 || strings.Contains(ns[1], "three") || strings.Contains(ns[1], "alert") {
			t.Errorf("%s got %q", name, ns)
		}
	}
	if got := p.services.Refused(); len(got) > 0 {
		t.Errorf("refused: %v", got)
	}
}

// What a service does not take now is tried again; a device that is gone is deleted; what
// a service never takes is a dead letter, which can be sent after all.
func TestPushFailures(t *testing.T) {
	p := openPushing(t, 0)
	phone, browser := p.register("bob", standin.FCM), p.register("bob", standin.WebPush)
	p.register("cid", standin.FCM)
	p.join("room", "ann", "bob")
	p.join("other", "ann", "cid")

	p.services.Script(standin.Answer{Service: standin.FCM, Status: 429, RetryAfter: "1"}, standin.Answer{Service: standin.WebPush, Status: 410})
	p.send("room", "ann", "hello")
	p.until("the phone has it", func() bool { return len(p.got()[phone]) == 1 })
	p.until("the browser is gone", func() bool {
		ds, err := p.s.store.User("bob").Devices(t.Context(), "bob")
		return err == nil && len(ds) == 1 && ds[0].Provider == standin.FCM
	})
	if got := p.got()[browser]; len(got) > 0 {
		t.Errorf("%q", got)
	}

	p.services.Script(standin.Answer{Service: standin.FCM, Status: 400, Reason: "INVALID_ARGUMENT"})
	p.send("other", "ann", "too much")
	p.until("it is a dead letter", func() bool {
		dead, more, err := p.s.sender.Dead(t.Context(), "cid", 10)
		return err == nil && !more && len(dead) == 1 && dead[0].Room == "other" && dead[0].Attempts == 1
	})
	if n, err := p.s.sender.Retry(t.Context(), "bob", time.Hour); n != 0 || err != nil {
		t.Errorf("bob has dead letters: %d, %v", n, err)
	}
	if n, err := p.s.sender.Retry(t.Context(), "", time.Hour); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	p.until("it was sent after all", func() bool { return len(p.got()["cid's fcm"]) == 1 })

	trials, err := p.s.sender.Try(t.Context(), "cid", "Title", "It works")
	if err != nil || len(trials) != 1 || trials[0].Action != "delivered" || trials[0].Provider != standin.FCM {
		t.Errorf("%+v %v", trials, err)
	}
}

// Credentials that are wrong are named, and chat goes on without the service.
func TestWrongPushCredentials(t *testing.T) {
	services, err := standin.Open(standin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	cfg := pushSettings(t, services, 0)
	cfg.Push.APNsTeam = "x"
	cfg.Push.FCMAccountFile = filepath.Join(t.TempDir(), "none.json")
	var log bytes.Buffer
	s, err := Open(t.Context(), cfg, "v1", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.gateway.Check(standin.WebPush, []byte("{}"))
	if err == nil || strings.Contains(err.Error(), "of that kind") {
		t.Errorf("Web Push does not work either: %v", err)
	}
	s.Close() // nothing is logged any more
	for _, want := range []string{"push.fcm_account_file", "push.apns_key_file", "team id", "none.json"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// The key for Web Push stays when the node starts again, and several nodes need one file.
func TestVAPIDKey(t *testing.T) {
	cfg := settings(t)
	if _, err := VAPIDKey(cfg, false); chat.KindOf(err) != chat.NotFound {
		t.Errorf("%v", err)
	}
	first, err := VAPIDKey(cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := VAPIDKey(cfg, true)
	if err != nil || again.String() != first.String() {
		t.Errorf("%v, %v; was %v", again, err, first)
	}
	several := settings(t)
	several.NATS.URL = []string{"nats://127.0.0.1:1"}
	if _, err := VAPIDKey(several, true); chat.KindOf(err) != chat.Invalid {
		t.Errorf("%v", err)
	}
	secret, err := NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	several.Push.WebPushKeyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(several.Push.WebPushKeyFile, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := webpush.ParseKey(secret)
	if got, failed := VAPIDKey(several, true); err != nil || failed != nil || got.String() != want.String() {
		t.Errorf("%v %v %v", got, failed, err)
	}
}
