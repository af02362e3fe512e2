package chat

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

// Device is a phone or a browser of a user that takes notifications.
type Device struct {
	User     UserID
	ID       string // chosen by the client, one for each installation
	Provider string // of package push: "fcm", "apns", "webpush"
	Address  string // in the canonical form of the provider (push.Gateway.Check)
	Language string // of what it is told; empty: that of the server

	Registered int64 // when the client first gave this address (Unix milliseconds)
	Seen       int64 // when the client last gave it
}

const (
	MaxDevices    = 20  // of a user; one more takes the place of the one that was seen the longest time ago
	DeviceIDBytes = 128 // of Device.ID
)

// Digest is AddressDigest of the device.
func (d *Device) Digest() string { return AddressDigest(d.Provider, d.Address) }

// AddressDigest names an address in 43 letters, digits, "-" and "_", which say nothing
// about it.
func AddressDigest(provider, address string) string {
	sum := sha256.Sum256([]byte(provider + "\x00" + address))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// DeviceLanguageBytes bounds Device.Language.
const DeviceLanguageBytes = 35

// CheckLanguage returns the error for s as Device.Language: a tag such as zh or en-GB, nil if
// it is one or empty.
func CheckLanguage(s string) error {
	for i, part := range strings.Split(s, "-") {
		if s != "" && (len(part) < 1 || len(part) > 8 || i == 0 && len(part) < 2) || strings.IndexFunc(part, notTag) >= 0 {
			return E(Invalid, "language must be a tag such as zh or en-GB")
		}
	}
	if len(s) > DeviceLanguageBytes {
		return E(TooLarge, "language is longer than 35 bytes")
	}
	return nil
}

func notTag(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
}

// CheckDeviceID returns the error for s as Device.ID, nil if it is good.
func CheckDeviceID(s string) error {
	switch {
	case s == "" || !utf8.ValidString(s) || strings.IndexFunc(s, notPrinted) >= 0:
		return E(Invalid, "device must be 1 to 128 bytes without spaces")
	case len(s) > DeviceIDBytes:
		return E(TooLarge, "device is longer than 128 bytes")
	}
	return nil
}

// Reach says how a user is connected, on all nodes together.
type Reach uint8

const (
	Offline    Reach = iota
	Background       // connected, and no connection is looked at
	Foreground       // a connection is looked at, or has not said that it is not
)

// DeadPush is a notification that was given up.
type DeadPush struct {
	User     UserID
	Room     RoomID // "": it was the host's own
	Seq      Seq    // the newest message that it would have told of
	Notice   string // the name of the host's own
	Device   string
	Provider string // "": the device is gone meanwhile
	Reason   string
	Attempts int
}

// PushLevel says of which messages a user is notified.
type PushLevel uint8

const (
	PushDefault  PushLevel = iota // as the user's settings for all rooms say; in these: PushAll
	PushAll                       // of all messages
	PushMentions                  // of those that mention the user
	PushNone                      // of none
)

var pushLevels = [...]string{"default", "all", "mentions", "none"}

// String is the level as clients see it.
func (l PushLevel) String() string {
	if int(l) < len(pushLevels) {
		return pushLevels[l]
	}
	return ""
}

// ParsePushLevel is the inverse of String.
func ParsePushLevel(s string) (PushLevel, bool) {
	for i, name := range pushLevels {
		if s == name {
			return PushLevel(i), true
		}
	}
	return 0, false
}

// PushSettings say how a user is notified: of a room, or with Room "" of all rooms that
// have none. Where there are none, they are zero.
type PushSettings struct {
	User UserID
	Room RoomID

	Level     PushLevel
	MuteUntil int64 // Unix milliseconds: nothing is notified before

	// Of Room "" alone, and for all rooms.

	QuietFrom, QuietTo int    // minutes after midnight between which notifications wait; equal: no such hours
	TimeZone           string // of the quiet hours, a name of the IANA database; empty: UTC
	HideContent        bool   // notifications say neither who writes nor what
}

// Zero reports whether the settings say nothing, so that there is no need to keep them.
func (s *PushSettings) Zero() bool {
	return *s == PushSettings{User: s.User, Room: s.Room}
}

// MinutesOfDay is how many minutes a day has: QuietFrom and QuietTo are smaller.
const MinutesOfDay = 24 * 60

// QuietUntil returns when the quiet hours end that now is in, and now if it is in none. The
// time zone is the location of now.
func (s *PushSettings) QuietUntil(now time.Time) time.Time {
	length := (s.QuietTo - s.QuietFrom + MinutesOfDay) % MinutesOfDay
	minute := now.Hour()*60 + now.Minute()
	if since := (minute - s.QuietFrom + MinutesOfDay) % MinutesOfDay; length == 0 || since >= length {
		return now
	}
	day := now.Day()
	if minute >= s.QuietTo {
		day++
	}
	end := time.Date(now.Year(), now.Month(), day, s.QuietTo/60, s.QuietTo%60, 0, 0, now.Location())
	if end.Before(now) { // the clock was put back in between
		return now
	}
	return end
}

// Notice is a notification of the host's own.
type Notice struct {
	Name  string // a later one with the same name takes its place; so does its own repetition
	Title string
	Text  string
	Data  string // a JSON object of strings for the app; may be empty
}

// Sizes of a notice. What all services take is less than 4 KB.
const (
	NoticeNameBytes  = 128
	NoticeTitleBytes = 256
	NoticeTextBytes  = 1024
	NoticeDataBytes  = 2048
)

// Check returns the error for a notice that no device is sent, nil if it is good.
func (n *Notice) Check() error {
	for _, s := range []struct {
		name, text string
		most       int
	}{{"collapse", n.Name, NoticeNameBytes}, {"title", n.Title, NoticeTitleBytes}, {"text", n.Text, NoticeTextBytes}, {"data", n.Data, NoticeDataBytes}} {
		switch {
		case len(s.text) > s.most:
			return E(TooLarge, s.name+" of a notification is too long")
		case !utf8.ValidString(s.text) || strings.ContainsRune(s.text, 0):
			return E(Invalid, s.name+" of a notification is not text")
		}
	}
	if n.Title == "" && n.Text == "" && n.Data == "" {
		return E(Invalid, "the notification is empty")
	}
	return nil
}
