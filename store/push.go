package store

import (
	"context"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// PushState is where a job stands.
type PushState uint8

const (
	PushWaiting PushState = iota // to be sent when it is due
	PushSent                     // a service has taken it; the row says so until it is due, then it is deleted
	PushDead                     // given up; likewise
)

var pushStates = [...]string{"waiting", "sent", "dead"}

func (s PushState) String() string {
	if int(s) < len(pushStates) {
		return pushStates[s]
	}
	return ""
}

// PushJob is what a device is to be told, or was told last, about one topic: there is one
// at most for a topic and a device of a user, so that what comes later takes the place of
// what was not sent yet.
//
// A job that was sent stays until the user has read what it is about, or until it
// expires. Therefore nothing is pushed twice because an entry of the outbox came twice, and
// what a device shows is known.
type PushJob struct {
	User   chat.UserID
	Topic  string // RoomTopic or HostTopic; notifications of one topic take each other's place on the device
	Device string // chat.Device.ID; it may be gone

	// Made is the version of what is to be sent: it grows each time that changes. It is
	// about when that was (Unix milliseconds). An outcome for another version does not count.
	Made int64

	State   PushState
	Silent  bool     // nothing is shown: the badge alone is set anew, as messages were read elsewhere
	Mention bool     // one of the messages since the read mark mentions the user
	Shown   bool     // the device was sent something of the topic that the user has not read
	Seq     chat.Seq // the newest message; of a silent job the read mark; 0 of the host's own

	Due      int64 // Unix milliseconds: when to send it, or to delete it if it is not waiting
	Expires  int64 // Unix milliseconds: not sent any more then
	Attempts int
	Reason   string // of the last attempt that failed

	// What the host wants shown; empty in jobs of rooms.
	Title, Text, Data string
}

// The beginnings of topics.
const (
	roomTopic = "room:"
	hostTopic = "host:"
)

// RoomTopic is the topic of the messages of a room.
func RoomTopic(room chat.RoomID) string { return roomTopic + string(room) }

// HostTopic is the topic of notices of the host with the name.
func HostTopic(name string) string { return hostTopic + name }

// Room is the room whose messages the job is about, "" if it is the host's own.
func (j *PushJob) Room() chat.RoomID {
	room, _ := strings.CutPrefix(j.Topic, roomTopic)
	if room == j.Topic {
		return ""
	}
	return chat.RoomID(room)
}

// Notice is the name of the host's own notice that the job is about, "" if it is about a room.
func (j *PushJob) Notice() string {
	name, _ := strings.CutPrefix(j.Topic, hostTopic)
	if name == j.Topic {
		return ""
	}
	return name
}

// Key is the key of the row.
func (j *PushJob) Key() PushJobKey { return PushJobKey{j.User, j.Topic, j.Device} }

// PushJobKey is the key of a job.
type PushJobKey struct {
	User   chat.UserID
	Topic  string
	Device string
}

// PushTopic names the jobs of a topic of a user, with Topic "" those of all topics.
type PushTopic struct {
	User  chat.UserID
	Topic string
}

// PushOwner is who has the address of a device: the last who gave it. It is filed under the
// slot of the digest.
type PushOwner struct {
	Digest string // chat.AddressDigest
	User   chat.UserID
	Device string
	Seen   int64 // when the address was given (Unix milliseconds)
}

// DigestSlot is the slot under which the owner of an address is filed.
func DigestSlot(digest string) chat.Slot { return chat.UserID(digest).Slot() }

// Recipient is what notifications to a user depend on.
type Recipient struct {
	User     chat.UserID
	Devices  []chat.Device     // by ascending id
	Settings chat.PushSettings // those for all rooms; of none, User alone
	Rooms    []UserRoom        // that the user is in, by ascending room id
}

// PushReader answers questions about devices and what they are sent.
type PushReader interface {
	// Devices returns the user's devices by ascending id.
	Devices(ctx context.Context, user chat.UserID) ([]chat.Device, error)

	// PushSettings returns up to limit of the user's settings by ascending room id, from the
	// given one on: those for all rooms (Room "") come first.
	PushSettings(ctx context.Context, user chat.UserID, from chat.RoomID, limit int) ([]chat.PushSettings, error)

	// Recipients returns what notifications to each of the users depend on, in their order, with
	// up to so many rooms of each, as of one commit. The users are of this shard.
	Recipients(ctx context.Context, users []chat.UserID, rooms int) ([]Recipient, error)

	// DuePushJobs returns up to limit jobs of the shard in any state with Due from from to to
	// (Unix milliseconds, both included), by ascending Due.
	DuePushJobs(ctx context.Context, from, to int64, limit int) ([]PushJob, error)

	// DeadPushJobs returns up to limit dead jobs of the shard that follow the key, in an
	// order of the driver's. The zero key is before the first. It may read all jobs.
	DeadPushJobs(ctx context.Context, after PushJobKey, limit int) ([]PushJob, error)
}
