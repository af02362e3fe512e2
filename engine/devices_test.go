package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/engine"
	"github.com/roomtide/roomtide/internal/testserver"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/wire"
)

// anyTarget takes what begins with a brace.
type anyTarget struct{}

func (anyTarget) Check(provider string, address []byte) (push.Target, error) {
	if provider != "fcm" || !strings.HasPrefix(string(address), "{") {
		return push.Target{}, chat.E(chat.Invalid, "not an address")
	}
	return push.Target{Provider: provider, Address: "canonical " + string(address)}, nil
}

func TestDevicesOfAUser(t *testing.T) {
	deps, _ := testserver.Open(t, testserver.Config{Targets: anyTarget{}})
	e, ann, server := deps.Engine, engine.Actor{User: "ann"}, engine.Actor{Server: true}
	phone := wire.PushFields{Device: "phone", Provider: "fcm", Address: json.RawMessage(`{"token":"t"}`)}
	for what, c := range map[string]struct {
		a    engine.Actor
		user chat.UserID
		p    wire.PushFields
		want chat.Kind
	}{
		"another user":   {ann, "bob", phone, chat.Forbidden},
		"no user":        {server, "", phone, chat.Invalid},
		"no id":          {ann, "ann", wire.PushFields{Provider: "fcm", Address: phone.Address}, chat.Invalid},
		"no address":     {ann, "ann", wire.PushFields{Device: "d", Provider: "fcm"}, chat.Invalid},
		"a long address": {ann, "ann", wire.PushFields{Device: "d", Provider: "fcm", Address: make([]byte, 5000)}, chat.TooLarge},
	} {
		_, err := e.RegisterDevice(t.Context(), c.a, c.user, &c.p)
		wantKind(t, what, err, c.want)
	}
	for _, a := range []engine.Actor{ann, server} {
		if _, err := e.RegisterDevice(t.Context(), a, "ann", &phone); err != nil {
			t.Fatal(err)
		}
	}
	r, err := e.Devices(t.Context(), ann, "ann")
	if err != nil || len(r.Devices) != 1 || r.Devices[0].Address != `canonical {"token":"t"}` {
		t.Errorf("%+v %v", r, err)
	}
	_, err = e.Devices(t.Context(), ann, "bob")
	wantKind(t, "another's devices", err, chat.Forbidden)
	_, err = e.DropDevice(t.Context(), ann, "bob", "phone")
	wantKind(t, "drop another's", err, chat.Forbidden)
	for range 2 {
		if _, err := e.DropDevice(t.Context(), ann, "ann", "phone"); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := e.Devices(t.Context(), server, "ann"); err != nil || len(r.Devices) != 0 {
		t.Errorf("%+v %v", r, err)
	}

	without, _ := testserver.Open(t, testserver.Config{})
	_, err = without.Engine.RegisterDevice(t.Context(), ann, "ann", &phone)
	if chat.KindOf(err) != chat.Invalid || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("without push: %v", err)
	}
}

func TestPushSettingsOfAUser(t *testing.T) {
	deps, _ := testserver.Open(t, testserver.Config{})
	e, ann := deps.Engine, engine.Actor{User: "ann"}
	of := func(n int) *int { return &n }
	zone, nowhere, hide, level := "Asia/Shanghai", "Nowhere/City", true, chat.PushMentions
	for what, c := range map[string]struct {
		room chat.RoomID
		p    wire.PushFields
		want chat.Kind
	}{
		"not a member":              {"r", wire.PushFields{Level: &level}, chat.NotMember},
		"quiet hours of a room":     {"r", wire.PushFields{QuietFrom: of(1), QuietTo: of(2)}, chat.Invalid},
		"half of the quiet hours":   {"", wire.PushFields{QuietFrom: of(1)}, chat.Invalid},
		"a time zone that is none":  {"", wire.PushFields{TimeZone: &nowhere}, chat.Invalid},
		"a room hides its contents": {"r", wire.PushFields{HideContent: &hide}, chat.Invalid},
	} {
		_, err := e.SetPush(t.Context(), ann, "ann", c.room, &c.p)
		wantKind(t, what, err, c.want)
	}
	_, err := e.SetPush(t.Context(), ann, "bob", "", &wire.PushFields{Level: &level})
	wantKind(t, "another's settings", err, chat.Forbidden)

	r, err := e.SetPush(t.Context(), ann, "ann", "", &wire.PushFields{QuietFrom: of(1320), QuietTo: of(420), TimeZone: &zone, HideContent: &hide})
	want := chat.PushSettings{User: "ann", QuietFrom: 1320, QuietTo: 420, TimeZone: zone, HideContent: true}
	if err != nil || r.Settings[0] != want {
		t.Errorf("%+v %v", r, err)
	}
	for i := range 3 {
		room := chat.RoomID(fmt.Sprint("r", i))
		if _, err := e.Join(t.Context(), ann, room, engine.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.SetPush(t.Context(), engine.Actor{Server: true}, "ann", room, &wire.PushFields{Level: &level}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := e.PushSettings(t.Context(), ann, "ann", "")
	if err != nil || len(all.Settings) != 4 || all.Settings[0] != want || all.Settings[3].Room != "r2" || all.More {
		t.Errorf("%+v %v", all, err)
	}
	if some, err := e.PushSettings(t.Context(), ann, "ann", "r1"); err != nil || len(some.Settings) != 1 {
		t.Errorf("behind r1: %+v %v", some, err)
	}
}
