package consistency

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// Anomaly names a promise by the way in which it is broken.
type Anomaly string

const (
	LostAck           Anomaly = "lost-ack"           // acknowledged, and not in the store at the end
	LostAccepted      Anomaly = "lost-accepted"      // accepted, neither acknowledged nor refused, and not in the store at the end
	Phantom           Anomaly = "phantom"            // observed, but not sent by then, or refused
	Corrupt           Anomaly = "corrupt"            // observed with another text than was sent
	Divergent         Anomaly = "divergent"          // two clients observed different messages under one number
	DuplicateKey      Anomaly = "duplicate-key"      // one key, two numbers
	DuplicateDelivery Anomaly = "duplicate-delivery" // delivered twice to one device
	Hole              Anomaly = "hole"               // a device received n and then not n+1
	NonMonotonic      Anomaly = "non-monotonic"      // a device received an earlier message late
	WrongResume       Anomaly = "wrong-resume"       // what came after a resume skipped or repeated messages
	Unobserved        Anomaly = "unobserved"         // a device that caught up did not receive the last message
	RealTime          Anomaly = "real-time-order"    // sent after another was acknowledged, numbered before it
	SenderOrder       Anomaly = "sender-order"       // one connection's messages were numbered in another order
	StaleRead         Anomaly = "stale-read"         // a read older than the reader's own write or earlier read
	StoreHole         Anomaly = "store-hole"         // the numbers in the store are not 1,2,3…
)

// Violation is one occurrence of an anomaly.
type Violation struct {
	Anomaly Anomaly
	Room    chat.RoomID
	Seqs    []chat.Seq // the numbers it is about
	Client  string     // where it was observed: a connection, a device, "store"
	Text    string     // a description
}

func (v Violation) String() string {
	s := fmt.Sprintf("%s in %s", v.Anomaly, v.Room)
	if len(v.Seqs) > 0 {
		s += fmt.Sprintf(" seq %v", v.Seqs)
	}
	if v.Client != "" {
		s += " observed by " + v.Client
	}
	return s + ": " + v.Text
}
