package client

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

func TestDevicesAndPushSettings(t *testing.T) {
	f := newFake(t)
	var had []wire.Command
	f.hook = func(c *fakeConn, cmd *wire.Command) bool {
		if cmd.Type != wire.Hello {
			had = append(had, *cmd) // before the answer, behind which the test reads it
		}
		switch cmd.Type {
		case wire.RegisterDevice, wire.DropDevice:
			c.ack(cmd, wire.DoneReply{})
		case wire.Devices:
			c.ack(cmd, wire.DevicesReply{Devices: []chat.Device{{ID: "phone", Provider: "fcm", Registered: 1000, Seen: 2000}}})
		case wire.GetPush: // a page of one, and the rest
			r := wire.PushReply{Settings: []chat.PushSettings{{Level: chat.PushMentions}, {Room: "a", Level: chat.PushNone}}, More: cmd.AfterID == ""}
			if cmd.AfterID == "a" {
				r.Settings = []chat.PushSettings{{Room: "b", MuteUntil: 3000}}
			}
			c.ack(cmd, r)
		case wire.SetPush:
			c.ack(cmd, wire.PushReply{Settings: []chat.PushSettings{{Room: cmd.Room, Level: *cmd.Push.Level}}})
		default:
			return false
		}
		return true
	}
	c := dial(t, f, nil)
	if err := c.RegisterDevice(t.Context(), "phone", "fcm", json.RawMessage(`{"token":"t"}`)); err != nil {
		t.Fatal(err)
	}
	if p := had[0].Push; p.Device != "phone" || p.Provider != "fcm" || string(p.Address) != `{"token":"t"}` {
		t.Errorf("%+v", p)
	}
	ds, err := c.Devices(t.Context())
	if err != nil || len(ds) != 1 || ds[0].Seen != 2000 {
		t.Errorf("%+v %v", ds, err)
	}
	if err := c.DropDevice(t.Context(), "phone"); err != nil {
		t.Fatal(err)
	}
	all, err := c.PushSettings(t.Context())
	want := []chat.PushSettings{{Level: chat.PushMentions}, {Room: "a", Level: chat.PushNone}, {Room: "b", MuteUntil: 3000}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%+v %v", all, err)
	}
	level := chat.PushNone
	if s, err := c.SetPush(t.Context(), "r", wire.PushFields{Level: &level}); err != nil || s.Room != "r" || s.Level != chat.PushNone {
		t.Errorf("%+v %v", s, err)
	}
}
