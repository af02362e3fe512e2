package client

import (
	"context"
	"encoding/json"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/wire"
)

// RegisterDevice has a device of the user get push notifications: device is an id of this
// installation, address what the provider's SDK has given for it. It is called at each start,
// and when the address has changed.
func (c *Client) RegisterDevice(ctx context.Context, device, provider string, address json.RawMessage) error {
	return c.RegisterDeviceIn(ctx, "", device, provider, address)
}

// RegisterDeviceIn is RegisterDevice with the language of what the device is told beside the
// messages: a tag such as zh, empty for that of the server.
func (c *Client) RegisterDeviceIn(ctx context.Context, language, device, provider string, address json.RawMessage) error {
	push := wire.PushFields{Device: device, Provider: provider, Language: language, Address: address}
	_, err := c.do(ctx, wire.Command{Type: wire.RegisterDevice, Push: push}, nil)
	return err
}

// DropDevice has a device get no more notifications.
func (c *Client) DropDevice(ctx context.Context, device string) error {
	_, err := c.do(ctx, wire.Command{Type: wire.DropDevice, Push: wire.PushFields{Device: device}}, nil)
	return err
}

// Devices returns the user's devices, without their addresses.
func (c *Client) Devices(ctx context.Context) ([]chat.Device, error) {
	f, err := c.do(ctx, wire.Command{Type: wire.Devices}, nil)
	if err != nil {
		return nil, err
	}
	return f.Devices, nil
}

// PushSettings returns how the user is notified: first what counts for all rooms, if
// anything was set, then the rooms that have settings of their own.
func (c *Client) PushSettings(ctx context.Context) (all []chat.PushSettings, err error) {
	for cmd := (wire.Command{Type: wire.GetPush}); ; {
		f, err := c.do(ctx, cmd, nil)
		if err != nil {
			return nil, err
		}
		if all = append(all, f.Push...); !f.More || len(f.Push) == 0 {
			return all, nil
		}
		cmd.AfterID = string(all[len(all)-1].Room)
	}
}

// SetPush changes how the user is notified of a room, or with "" of all rooms, and returns
// the settings as they are then. The fields about devices are left out.
func (c *Client) SetPush(ctx context.Context, room chat.RoomID, p wire.PushFields) (chat.PushSettings, error) {
	f, err := c.do(ctx, wire.Command{Type: wire.SetPush, Room: room, Push: p}, nil)
	if err != nil || len(f.Push) == 0 {
		return chat.PushSettings{}, err
	}
	return f.Push[0], nil
}
