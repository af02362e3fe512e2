package consistency

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// Anomaly names a way in which a promise can be broken.
type Anomaly string

const (
	LostAck           Anomaly = "lost-ack"           // acknowledged, and not in the store at the end
	Phantom           Anomaly = "phantom"            // seen, but nobody had sent it, or its sender was refused
	Corrupt           Anomaly = "corrupt"            // seen with another text than was sent
	Divergent         Anomaly = "divergent"          // two have seen different messages under one number
	DuplicateKey      Anomaly = "duplicate-key"      // one key, two numbers
	DuplicateDelivery Anomaly = "duplicate-delivery" // shown twice to one device
	Hole              Anomaly = "hole"               // a device was shown n and then not n+1
	NonMonotonic      Anomaly = "non-monotonic"      // a device was shown an earlier message late
	WrongResume       Anomaly = "wrong-resume"       // what came after a resume skipped or repeated messages
	Unobserved        Anomaly = "unobserved"         // a device that caught up was never shown the end
	RealTime          Anomaly = "real-time-order"    // sent after another was acknowledged, numbered before it
	SenderOrder       Anomaly = "sender-order"       // one connection's messages were numbered in another order
	StaleRead         Anomaly = "stale-read"         // a read older than the reader's own write or earlier read
	StoreHole         Anomaly = "store-hole"         // the numbers in the store are not 1,2,3…
)

// Violation is one occurrence of an anomaly.
type Violation struct {
	Anomaly Anomaly
	Room    chat.RoomID
	Seqs    []chat.Seq // the messages it is about; empty if the message has no number
	Who     string     // who saw it: a connection, a device, "store"
	Text    string     // what happened, for a person
}

func (a Violation) String() string {
	s := fmt.Sprintf("%s in %s", a.Anomaly, a.Room)
	if len(a.Seqs) > 0 {
		s += fmt.Sprintf(" seq %v", a.Seqs)
	}
	if a.Who != "" {
		s += " seen by " + a.Who
	}
	return s + ": " + a.Text
}
