package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomtide/roomtide/bus"
	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/client"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/testprocess"
	"github.com/roomtide/roomtide/lane"
	"github.com/roomtide/roomtide/push/standin"
	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
)

// pushPoints are the places on the road of a notification where a node is killed.
var pushPoints = []string{"push-before-jobs", "push-after-jobs", "push-before-send", "push-after-send", "push-after-outcome"}

// A node is killed at every step from a message to its notification. After the next start
// the notification is there, and if it came twice it is the same one: it has the same id,
// and takes its own place on the screen.
func TestCrashesWhilePushing(t *testing.T) {
	services, err := standin.Open(standin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	dir, addr := t.TempDir(), testprocess.FreeAddr(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, services.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(env ...string) *testprocess.Node {
		return program.Start(t, dir, addr, append(env, "ROOMTIDE_PUSH_CA_FILE="+ca, "ROOMTIDE_PUSH_WEBPUSH_ALLOW=127.0.0.0/8",
			"ROOMTIDE_PUSH_WEBPUSH_SUBJECT=mailto:push@example.org", "ROOMTIDE_PUSH_DELAY=0s")...)
	}
	node := start()
	node.Ready()
	ann := dial(t, addr, "ann")
	defer ann.Close()
	bob := dial(t, addr, "bob")
	for _, c := range []*client.Client{ann, bob} {
		if _, err := c.Join(t.Context(), "room", client.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	bob.Close()
	if code := node.Terminate(drainBound); code != 0 {
		t.Fatalf("the first node ended with %d", code)
	}
	address, _, err := services.NewWebPush("")
	if err != nil {
		t.Fatal(err)
	}
	registerStopped(t, dir, &change.RegisterDevice{User: "bob", Device: "browser", Provider: standin.WebPush, Address: canonical(t, address), At: 1})

	for _, point := range pushPoints {
		node := start("ROOMTIDE_CRASH=" + point + ":1")
		text := "killed at " + point
		sent := make(chan error, 1)
		go func() {
			_, err := ann.Send(t.Context(), "room", chat.Draft{Text: text})
			sent <- err
		}()
		if code := node.Wait(time.Minute); code != -1 || !strings.Contains(node.Stderr(), "crashpoint: "+point) {
			t.Fatalf("at %s the node ended with %d\n%s", point, code, node.Stderr())
		}
		node = start()
		node.Ready()
		if err := <-sent; err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		for end := time.Now().Add(time.Minute); len(pushes(t, services, text)) == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the notification is lost; refused: %v\n%s", point, services.Refused(), node.Stderr())
			}
		}
		if code := node.Terminate(drainBound); code != 0 {
			t.Fatalf("after %s the node ended with %d\n%s", point, code, node.Stderr())
		}
	}
	tags := map[string]bool{}
	for _, point := range pushPoints {
		ps := pushes(t, services, "killed at "+point)
		for _, p := range ps {
			tags[p.Tag] = true
			if p.ID != ps[0].ID {
				t.Errorf("%s: two notifications of one message: %+v", point, ps)
			}
		}
	}
	if len(tags) != 1 || tags[""] {
		t.Errorf("notifications of one room have the tags %v", tags)
	}
}

// pushed is what a browser gets.
type pushed struct{ ID, Body, Tag string }

// pushes are the notifications with the text, in order.
func pushes(t *testing.T, s *standin.Server, text string) (found []pushed) {
	t.Helper()
	for _, n := range s.Notifications() {
		var p pushed
		if err := json.Unmarshal([]byte(n.Payload), &p); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.Body, text) {
			found = append(found, p)
		}
	}
	return found
}

func dial(t *testing.T, addr, user string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{URL: "ws://" + addr, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// registerStopped registers a device with the data of a stopped node.
func registerStopped(t *testing.T, dir string, c *change.RegisterDevice) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = dir
	err := server.WithStore(t.Context(), cfg, func(st *store.Store) error {
		ls, err := lane.Open(t.Context(), lane.Config{Store: st, Publish: func(*bus.Batch) error { return nil }})
		if err != nil {
			return err
		}
		defer ls.Close()
		_, err = ls.Do(context.Background(), c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// canonical is a subscription as the server stores it.
func canonical(t *testing.T, address string) string {
	t.Helper()
	var s struct {
		Endpoint string `json:"endpoint"`
		Keys     struct {
			P256DH string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(address), &s); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"endpoint":%q,"keys":{"p256dh":%q,"auth":%q}}`, s.Endpoint, s.Keys.P256DH, s.Keys.Auth)
}
