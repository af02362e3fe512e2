package bench

import (
	"errors"
	"fmt"
	"time"
)

// Scenario is the work of one run.
type Scenario struct {
	Name     string        `json:"name"`
	Idle     bool          `json:"idle,omitempty"`  // connections without traffic
	Start    bool          `json:"start,omitempty"` // how long until the first message
	Storm    bool          `json:"storm,omitempty"` // all members are cut and reconnect; the senders are others, which stay
	Slow     bool          `json:"slow,omitempty"`  // one member stops reading for a while
	Proto    string        `json:"proto,omitempty"` // a key of protos
	Rooms    int           `json:"rooms,omitempty"`
	Members  int           `json:"members,omitempty"`  // of each room, a connection each
	Senders  int           `json:"senders,omitempty"`  // how many of all members write
	Window   int           `json:"window,omitempty"`   // closed loop: messages of a sender that wait for their ack
	Pause    time.Duration `json:"pause_ns,omitempty"` // closed loop: before each message
	Rate     float64       `json:"rate,omitempty"`     // open loop: messages a second of all senders together
	Size     int           `json:"size,omitempty"`     // bytes of text
	Keys     bool          `json:"keys,omitempty"`     // every message has an idempotency key
	Devices  bool          `json:"devices,omitempty"`  // every member has a device that would be pushed to
	Stop     time.Duration `json:"stop_ns,omitempty"`  // slow: how long the member does not read
	Rest     time.Duration `json:"rest_ns,omitempty"`  // idle: before the time that counts, in which the server still writes what came of the joins
	Duration time.Duration `json:"duration_ns"`        // storm and slow: of the phase before, and of the one after
}

// The named scenarios, in the order of "all".
var scenarios = []Scenario{
	{Name: "rooms", Rooms: 200, Members: 10, Senders: 200, Window: 8, Size: 120, Duration: 8 * time.Second},
	{Name: "fanout", Rooms: 1, Members: 1000, Senders: 1, Window: 16, Size: 120, Duration: 8 * time.Second},
	{Name: "fanout5k", Rooms: 1, Members: 5000, Senders: 4, Window: 64, Size: 120, Duration: 8 * time.Second},
	{Name: "rate", Rooms: 1, Members: 1000, Senders: 1, Rate: 20, Size: 120, Duration: 8 * time.Second},
	{Name: "idle", Idle: true, Rooms: 200, Members: 10, Duration: 8 * time.Second},
	{Name: "idle10k", Idle: true, Rooms: 1000, Members: 10, Duration: 8 * time.Second},
	{Name: "storm", Storm: true, Rooms: 1000, Members: 10, Senders: 20, Window: 1, Pause: 20 * time.Millisecond, Size: 120, Duration: 5 * time.Second},
	{Name: "slow", Slow: true, Rooms: 1, Members: 1000, Senders: 1, Rate: 20, Size: 2000, Stop: time.Minute, Duration: 10 * time.Second},
	{Name: "start", Start: true, Duration: 2 * time.Second},
}

// few are the scenarios that run without an argument.
var few = []string{"rooms", "fanout", "idle", "start"}

func (s *Scenario) check() error {
	switch {
	case protos[s.Proto] == nil:
		return fmt.Errorf("there is no protocol %q, only native and socketio", s.Proto)
	case s.Start:
		return nil
	case s.Rooms < 1 || s.Members < 1:
		return errors.New("at least one room with one member")
	case s.Idle:
		return nil
	case s.Storm && (s.Senders < 1 || s.Senders > s.Rooms):
		return fmt.Errorf("senders that stay have a room each: 1 to %d of them", s.Rooms)
	case s.Senders < 1 || s.Senders > s.Rooms*s.Members:
		return fmt.Errorf("senders are members: 1 to %d of them", s.Rooms*s.Members)
	case s.Slow && (s.Rooms > 1 || s.Senders == s.Members):
		return errors.New("slow is about one room, with a member that does not write")
	case s.Rate == 0 && s.Window < 1 || s.Rate < 0:
		return errors.New("a window of at least 1, or a rate")
	case s.Duration <= 0:
		return errors.New("the duration is not positive")
	}
	return nil
}

func (s *Scenario) describe() string {
	d := ""
	switch {
	case s.Start:
	case s.Idle:
		d = fmt.Sprintf(": %d rooms x %d members, idle", s.Rooms, s.Members)
	default:
		loop := fmt.Sprintf("%d in flight each", s.Window)
		if s.Pause > 0 {
			loop += fmt.Sprintf(" after a pause of %s", s.Pause)
		}
		if s.Rate > 0 {
			loop = fmt.Sprintf("%.0f messages/s offered", s.Rate)
		}
		d = fmt.Sprintf(": %d rooms x %d members, %d senders, %s, %d bytes, %s", s.Rooms, s.Members, s.Senders, loop, s.Size, s.Duration)
	}
	if s.Devices {
		d += ", with devices"
	}
	if s.Proto != "native" {
		d += ", " + s.Proto
	}
	return d
}
