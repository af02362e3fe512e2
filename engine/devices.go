package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/roomtide/roomtide/change"
	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/push"
	"github.com/roomtide/roomtide/wire"
)

// Targets check the addresses of devices (push.Gateway).
type Targets interface {
	Check(provider string, address []byte) (push.Target, error)
}

var errNoPush = chat.E(chat.Invalid, "push notifications are not configured on this server")

// addressBytes bounds what a client gives as the address of a device.
const addressBytes = 4 << 10

// RegisterDevice has a device of a user take notifications. A client registers it at each
// start, and whenever its address has changed. Errors: Invalid, Forbidden, RateLimited.
func (e *Engine) RegisterDevice(ctx context.Context, a Actor, user chat.UserID, p *wire.PushFields) (*wire.DoneReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	if e.cfg.Targets == nil {
		return nil, errNoPush
	}
	if err := chat.CheckDeviceID(p.Device); err != nil {
		return nil, err
	}
	if len(p.Address) > addressBytes {
		return nil, chat.E(chat.TooLarge, "address is larger than "+strconv.Itoa(addressBytes)+" bytes")
	}
	if err := chat.CheckLanguage(p.Language); err != nil {
		return nil, err
	}
	to, err := e.cfg.Targets.Check(p.Provider, p.Address)
	if err != nil {
		return nil, err
	}
	return e.changeOwn(ctx, &a, &change.RegisterDevice{User: user, Device: p.Device, Provider: to.Provider, Address: to.Address,
		Language: p.Language, At: e.cfg.Now().UnixMilli()})
}

// DropDevice has a device get no more notifications. One that is not there is no error.
func (e *Engine) DropDevice(ctx context.Context, a Actor, user chat.UserID, device string) (*wire.DoneReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	if err := chat.CheckDeviceID(device); err != nil {
		return nil, err
	}
	return e.changeOwn(ctx, &a, &change.DropDevice{User: user, Device: device})
}

// changeOwn makes a change of the user's own things.
func (e *Engine) changeOwn(ctx context.Context, a *Actor, c change.Change) (*wire.DoneReply, error) {
	return within(ctx, e, func(ctx context.Context) (*wire.DoneReply, error) {
		if err := e.rates.own(a); err != nil {
			return nil, err
		}
		_, err := e.cfg.Lanes.Do(ctx, c)
		return &wire.DoneReply{}, err
	})
}

// own is Forbidden unless the user is the actor, or the actor the host's back end.
func (e *Engine) own(a *Actor, user chat.UserID) error {
	if user == "" {
		return chat.E(chat.Invalid, "say for which user")
	}
	if !a.Server && a.User != user {
		return chat.E(chat.Forbidden, "only an API key may do this for another user")
	}
	return chat.CheckID("user", string(user), e.cfg.Limits.IDBytes)
}

// Devices returns the user's devices.
func (e *Engine) Devices(ctx context.Context, a Actor, user chat.UserID) (*wire.DevicesReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	return question(ctx, e, &a, func(ctx context.Context) (*wire.DevicesReply, error) {
		devices, err := e.cfg.Store.User(user).Devices(ctx, user)
		return &wire.DevicesReply{Devices: devices}, err
	})
}

// Reach returns how the user is connected, on all nodes. Errors: Forbidden.
func (e *Engine) Reach(ctx context.Context, a Actor, user chat.UserID) (*wire.ReachReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	return question(ctx, e, &a, func(ctx context.Context) (*wire.ReachReply, error) {
		reach, all := e.cfg.Reach(ctx, []chat.UserID{user})
		return &wire.ReachReply{User: user, Reach: reach[0], Degraded: !all}, nil
	})
}

// pushPage is how many settings one answer has.
const pushPage = 500

// PushSettings returns the user's settings: for all rooms, and for rooms that have their
// own, by ascending id after the given one.
func (e *Engine) PushSettings(ctx context.Context, a Actor, user chat.UserID, after chat.RoomID) (*wire.PushReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	return question(ctx, e, &a, func(ctx context.Context) (*wire.PushReply, error) {
		from := after
		if from != "" {
			from += "\x00" // the least id behind it
		}
		found, err := e.cfg.Store.User(user).PushSettings(ctx, user, from, pushPage+1)
		if err != nil {
			return nil, err
		}
		r := &wire.PushReply{Settings: found}
		if len(found) > pushPage {
			r.Settings, r.More = found[:pushPage], true
		}
		return r, nil
	})
}

// SetPush changes the user's settings for a room, or with "" for all rooms. Errors:
// Invalid, Forbidden, NotMember, RateLimited.
func (e *Engine) SetPush(ctx context.Context, a Actor, user chat.UserID, room chat.RoomID, p *wire.PushFields) (*wire.PushReply, error) {
	if err := e.own(&a, user); err != nil {
		return nil, err
	}
	if err := checkPush(room, p); err != nil {
		return nil, err
	}
	return within(ctx, e, func(ctx context.Context) (*wire.PushReply, error) {
		if err := e.rates.own(&a); err != nil {
			return nil, err
		}
		if room != "" { // so that there are no more rows than memberships
			if _, err := e.reader(ctx, &Actor{User: user}, room); err != nil {
				return nil, err
			}
		}
		r, err := e.cfg.Lanes.Do(ctx, &change.SetPush{User: user, Room: room, Level: p.Level, MuteUntil: p.MuteUntil,
			QuietFrom: p.QuietFrom, QuietTo: p.QuietTo, TimeZone: p.TimeZone, HideContent: p.HideContent})
		if err != nil {
			return nil, err
		}
		return &wire.PushReply{Settings: []chat.PushSettings{r.Push}}, nil
	})
}

func checkPush(room chat.RoomID, p *wire.PushFields) error {
	if room != "" && (p.QuietFrom != nil || p.QuietTo != nil || p.TimeZone != nil || p.HideContent != nil) {
		return chat.E(chat.Invalid, "quiet_from, quiet_to, time_zone and hide_content are for all rooms: leave room out")
	}
	if (p.QuietFrom == nil) != (p.QuietTo == nil) {
		return chat.E(chat.Invalid, "quiet_from and quiet_to go together; equal, there are no quiet hours")
	}
	if p.TimeZone != nil {
		if _, err := time.LoadLocation(*p.TimeZone); err != nil || *p.TimeZone == "Local" || len(*p.TimeZone) > 64 {
			return chat.E(chat.Invalid, "time_zone must be a name such as Europe/Berlin")
		}
	}
	return nil
}
