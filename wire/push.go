package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Devices and push settings, in commands, in bodies of HTTP and in replies.

// PushFields are the fields of register_device, drop_device and set_push.
type PushFields struct {
	Device   string
	Provider string
	Language string
	Address  json.RawMessage // as the provider's SDK gives it to the client

	// nil stays
	Level       *chat.PushLevel
	MuteUntil   *int64 // Unix milliseconds; 0: not
	QuietFrom   *int   // minutes after midnight
	QuietTo     *int
	TimeZone    *string
	HideContent *bool
}

// pushNames are the names of these fields.
var pushNames = map[string]bool{"device": true, "provider": true, "address": true, "language": true, "level": true, "mute_until": true,
	"quiet_from": true, "quiet_to": true, "time_zone": true, "hide_content": true}

// read reads one field, if it is one of these.
func (p *PushFields) read(d *decoder, name string, v []byte) {
	switch name {
	case "device":
		p.Device = id[string](d, name, v)
	case "provider":
		p.Provider = text[string](d, name, v)
	case "language":
		p.Language = text[string](d, name, v)
	case "address":
		p.Address = d.data(v)
	case "level":
		p.Level = d.level(v)
	case "mute_until":
		if string(v) != "null" {
			at := d.time(name, v)
			p.MuteUntil = &at
		}
	case "quiet_from":
		p.QuietFrom = d.clock(name, v)
	case "quiet_to":
		p.QuietTo = d.clock(name, v)
	case "time_zone":
		p.TimeZone = d.optional(name, v)
	case "hide_content":
		p.HideContent = d.bool(name, v)
	}
}

// Push returns the members that are PushFields. The error is chat.Invalid, naming a member.
func (o Object) Push() (p PushFields, err error) {
	var d decoder
	for name, v := range o {
		p.read(&d, name, v)
	}
	return p, d.err
}

// level reads the name of a level, nil for null and for an error.
func (d *decoder) level(v []byte) *chat.PushLevel {
	if string(v) == "null" {
		return nil
	}
	l, ok := chat.ParsePushLevel(text[string](d, "level", v))
	if !ok {
		d.fail("level", "default, all, mentions or none")
		return nil
	}
	return &l
}

// clock reads a time of day as minutes after midnight, nil for null and for an error.
func (d *decoder) clock(name string, v []byte) *int {
	if string(v) == "null" {
		return nil
	}
	at, err := time.Parse("15:04", text[string](d, name, v))
	if err != nil {
		d.fail(name, "a time of day such as 22:30")
		return nil
	}
	minutes := at.Hour()*60 + at.Minute()
	return &minutes
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// appendPush appends the fields as a client sends them.
func appendPush(dst []byte, p *PushFields) []byte {
	dst = appendOptString(dst, "device", p.Device)
	dst = appendOptString(dst, "provider", p.Provider)
	dst = appendOptString(dst, "language", p.Language)
	if len(p.Address) > 0 {
		dst = append(appendName(dst, "address"), p.Address...)
	}
	if p.Level != nil {
		dst = appendStringField(dst, "level", p.Level.String())
	}
	switch {
	case p.MuteUntil == nil:
	case *p.MuteUntil == 0:
		dst = appendStringField(dst, "mute_until", "")
	default:
		dst = appendTimeField(dst, "mute_until", *p.MuteUntil)
	}
	if p.QuietFrom != nil {
		dst = appendStringField(dst, "quiet_from", clockText(*p.QuietFrom))
	}
	if p.QuietTo != nil {
		dst = appendStringField(dst, "quiet_to", clockText(*p.QuietTo))
	}
	if p.TimeZone != nil {
		dst = appendStringField(dst, "time_zone", *p.TimeZone)
	}
	if p.HideContent != nil {
		dst = appendBoolField(dst, "hide_content", *p.HideContent)
	}
	return dst
}

// DevicesReply: the devices of a user, without their addresses.
type DevicesReply struct{ Devices []chat.Device }

func (r DevicesReply) appendFields(dst []byte) []byte {
	return appendArray(appendName(dst, "devices"), r.Devices, func(dst []byte, d *chat.Device) []byte {
		dst = appendString(append(dst, `{"device":`...), d.ID)
		dst = appendStringField(dst, "provider", d.Provider)
		dst = appendOptString(dst, "language", d.Language)
		dst = appendTimeField(dst, "registered", d.Registered)
		return append(appendTimeField(dst, "seen", d.Seen), '}')
	})
}

// ReachReply: how a user is connected, on all nodes.
type ReachReply struct {
	User     chat.UserID
	Reach    chat.Reach
	Degraded bool // a node has not answered: the user may be connected there
}

func (r ReachReply) appendFields(dst []byte) []byte {
	dst = appendStringField(dst, "user", r.User)
	dst = appendBoolField(dst, "online", r.Reach != chat.Offline)
	dst = appendBoolField(dst, "foreground", r.Reach == chat.Foreground)
	if r.Degraded {
		dst = appendBoolField(dst, "degraded", true)
	}
	return dst
}

// PushReply: the push settings of a user, those for all rooms first. With More the next page
// is behind the last room.
type PushReply struct {
	Settings []chat.PushSettings
	More     bool
}

func (r PushReply) appendFields(dst []byte) []byte {
	dst = appendArray(appendName(dst, "settings"), r.Settings, func(dst []byte, s *chat.PushSettings) []byte {
		start := len(dst)
		return openObject(appendSettings(dst, s), start)
	})
	if r.More {
		dst = appendBoolField(dst, "more", true)
	}
	return dst
}

func appendSettings(dst []byte, s *chat.PushSettings) []byte {
	dst = appendOptString(dst, "room", s.Room)
	dst = appendStringField(dst, "level", s.Level.String())
	if s.MuteUntil != 0 {
		dst = appendTimeField(dst, "mute_until", s.MuteUntil)
	}
	if s.QuietFrom != s.QuietTo {
		dst = appendStringField(dst, "quiet_from", clockText(s.QuietFrom))
		dst = appendStringField(dst, "quiet_to", clockText(s.QuietTo))
	}
	dst = appendOptString(dst, "time_zone", s.TimeZone)
	if s.HideContent {
		dst = appendBoolField(dst, "hide_content", true)
	}
	return dst
}

// deviceJSON and pushSettingsJSON are what a client reads.
type (
	deviceJSON struct {
		Device     string   `json:"device"`
		Provider   string   `json:"provider"`
		Language   string   `json:"language"`
		Registered jsonTime `json:"registered"`
		Seen       jsonTime `json:"seen"`
	}
	pushSettingsJSON struct {
		Room        chat.RoomID     `json:"room"`
		Level       json.RawMessage `json:"level"`
		MuteUntil   jsonTime        `json:"mute_until"`
		QuietFrom   json.RawMessage `json:"quiet_from"`
		QuietTo     json.RawMessage `json:"quiet_to"`
		TimeZone    string          `json:"time_zone"`
		HideContent bool            `json:"hide_content"`
	}
)

func (j *pushSettingsJSON) settings() (chat.PushSettings, error) {
	s := chat.PushSettings{Room: j.Room, MuteUntil: int64(j.MuteUntil), TimeZone: j.TimeZone, HideContent: j.HideContent}
	var d decoder
	if l := j.Level; l != nil {
		if level := d.level(l); level != nil {
			s.Level = *level
		}
	}
	for _, c := range []struct {
		text json.RawMessage
		to   *int
	}{{j.QuietFrom, &s.QuietFrom}, {j.QuietTo, &s.QuietTo}} {
		if c.text == nil {
			continue
		}
		if minutes := d.clock("quiet hours", c.text); minutes != nil {
			*c.to = *minutes
		}
	}
	return s, d.err
}
