package history

import (
	"fmt"

	"github.com/roomtide/roomtide/chat"
)

// Broken names a promise that was not kept.
type Broken string

const (
	LostAck           Broken = "lost-ack"           // acknowledged, and not in the store at the end
	Phantom           Broken = "phantom"            // seen, but nobody had sent it, or its sender was refused
	Corrupt           Broken = "corrupt"            // seen with another text than was sent
	Divergent         Broken = "divergent"          // two have seen different messages under one number
	DuplicateKey      Broken = "duplicate-key"      // one key, two numbers
	DuplicateDelivery Broken = "duplicate-delivery" // shown twice to one device
	Hole              Broken = "hole"               // a device was shown n and then not n+1
	NonMonotonic      Broken = "non-monotonic"      // a device was shown an earlier message late
	WrongResume       Broken = "wrong-resume"       // what came after a resume skipped or repeated messages
	Unobserved        Broken = "unobserved"         // a device that caught up was never shown the end
	RealTime          Broken = "real-time-order"    // sent after another was acknowledged, numbered before it
	SenderOrder       Broken = "sender-order"       // one connection's messages were numbered in another order
	StaleRead         Broken = "stale-read"         // a read older than the reader's own write or earlier read
	StoreHole         Broken = "store-hole"         // the numbers in the store are not 1,2,3…
)

// Anomaly is one promise broken once.
type Anomaly struct {
	Broken Broken
	Room   chat.RoomID
	Seqs   []chat.Seq // the messages it is about; empty if the message has no number
	Who    string     // who saw it: a connection, a device, "store"
	Text   string     // what happened, for a person
}

func (a Anomaly) String() string {
	s := fmt.Sprintf("%s in %s", a.Broken, a.Room)
	if len(a.Seqs) > 0 {
		s += fmt.Sprintf(" seq %v", a.Seqs)
	}
	if a.Who != "" {
		s += " seen by " + a.Who
	}
	return s + ": " + a.Text
}
