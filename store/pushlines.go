package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/roomtide/roomtide/chat"
)

// The lines of devices, of what they are sent, and of who is connected.

var errPush = errors.New("its level or its state is unknown")

// pushLine is the line of a row, and what its application keeps.
func pushLine(row any) (l rowLine, data string, err error) {
	switch r := row.(type) {
	case *chat.Device:
		l = rowLine{Type: "device", User: r.User, Device: r.ID, Provider: r.Provider, Address: r.Address, Language: r.Language,
			Registered: r.Registered, Seen: r.Seen}
	case *chat.PushSettings:
		l = rowLine{Type: "push_settings", User: r.User, Room: r.Room, MuteUntil: r.MuteUntil, QuietFrom: r.QuietFrom, QuietTo: r.QuietTo,
			TimeZone: r.TimeZone, HideContent: r.HideContent}
		if r.Level != chat.PushDefault {
			if l.Level = r.Level.String(); l.Level == "" {
				return l, "", errPush
			}
		}
	case *PushJob:
		l = rowLine{Type: "push_job", User: r.User, Topic: r.Topic, Device: r.Device, Made: r.Made, Silent: r.Silent, Mention: r.Mention,
			Shown: r.Shown, Seq: r.Seq, Due: r.Due, Expires: r.Expires, Attempts: r.Attempts, Reason: r.Reason, Title: r.Title, Text: r.Text}
		data = r.Data
		if r.State != PushWaiting {
			if l.State = r.State.String(); l.State == "" {
				return l, "", errPush
			}
		}
	case *PushOwner:
		l = rowLine{Type: "push_owner", AddressDigest: r.Digest, User: r.User, Device: r.Device, Seen: r.Seen}
	case *UserNodes:
		l = rowLine{Type: "user_nodes", User: r.User, Nodes: r.Nodes}
	}
	return l, data, nil
}

// appendPush appends the row of the line to rows.
func (l *rowLine) appendPush(data string, rows *Rows) error {
	switch l.Type {
	case "device":
		return appendRow(l, &rows.Devices, chat.Device{User: l.User, ID: l.Device, Provider: l.Provider, Address: l.Address, Language: l.Language,
			Registered: l.Registered, Seen: l.Seen})
	case "push_settings":
		level, known := chat.PushDefault, true
		if l.Level != "" {
			level, known = chat.ParsePushLevel(l.Level)
		}
		if !known {
			return errPush
		}
		return appendRow(l, &rows.PushSettings, chat.PushSettings{User: l.User, Room: l.Room, Level: level, MuteUntil: l.MuteUntil,
			QuietFrom: l.QuietFrom, QuietTo: l.QuietTo, TimeZone: l.TimeZone, HideContent: l.HideContent})
	case "push_job":
		state := 0
		if l.State != "" {
			state = slices.Index(pushStates[:], l.State)
		}
		if state < 0 {
			return errPush
		}
		return appendRow(l, &rows.PushJobs, PushJob{User: l.User, Topic: l.Topic, Device: l.Device, Made: l.Made, State: PushState(state),
			Silent: l.Silent, Mention: l.Mention, Shown: l.Shown, Seq: l.Seq, Due: l.Due, Expires: l.Expires, Attempts: l.Attempts,
			Reason: l.Reason, Title: l.Title, Text: l.Text, Data: data})
	case "push_owner":
		return appendRow(l, &rows.PushOwners, PushOwner{Digest: l.AddressDigest, User: l.User, Device: l.Device, Seen: l.Seen})
	case "user_nodes":
		return appendRow(l, &rows.UserNodes, UserNodes{User: l.User, Nodes: l.Nodes})
	}
	return fmt.Errorf("type %q is unknown", l.Type)
}
