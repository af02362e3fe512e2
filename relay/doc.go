// Package relay carries changes to the node that owns their lane, and outcomes back,
// over NATS core.
//
// NATS loses messages and never reorders those of one publisher on one subject. The
// relay makes of that: each change is taken in its order without holes, once in a tenure
// of an owner, and answered. It is go-back-N, for each sender and lane.
//
// # Subjects
//
//	<prefix>.ch.<lane>          packets of changes, to the owner of the lane
//	<prefix>.ack.<incarnation>  answers, to one sender
//	<prefix>.own.<lane>         announcements of new owners, to all senders
//
// # Sender
//
// A sender is one Relay; its incarnation is a random number made by New, so that a node
// that was started again hears nothing of its past. The entries of a lane are numbered
// from 1. Base is the lowest number without an outcome. A packet holds base, the number
// of its first entry and the entries; what waits while four packets are on their way is
// the next one. An entry that has its outcome, or was given up, is sent empty if it has to
// be sent again: its number stays, and the change is not handed on any more.
//
// # Owner
//
// Each call of Own makes a tenure, with a random number. For each sender the owner keeps
// next, the number that it takes next; of a sender that it does not know, next is the base
// of the first packet, and a base beyond next moves next there.
//
//   - The first number is at most next: what is below next was taken already and is passed
//     over, the rest is taken in order.
//   - The first number is beyond next: nothing is taken, and the answer is that next is wanted.
//
// An answer holds the tenure, next, whether it is wanted, and outcomes. It is sent when
// there are outcomes, for every second packet without any, and for a packet that asks.
// Outcomes are kept until base has passed them, and a packet that asks is answered with
// all of them. A sender that is silent for a minute is forgotten, with its outcomes: of what
// was read for it in the durable queue it then hears that it is lost, and hands messages on
// again, whose keys tell what came of them. It hears the same of what is missing in the durable
// queue.
//
// # Repeats
//
// A sender goes back to the number that an owner wants, and to base when another tenure is
// announced. It repeats nothing by time: without progress for Config.Repeat (then twice
// that, up to four times) it asks, with an empty packet, and the answer says what was lost.
// A node that does not own the lane does not answer.
//
// A new owner begins with the base of each sender, so the entries from there on may be
// applied twice, in their order; changes allow that (package change), and a message without
// a key gets one here. An outcome Fenced is none: the old owner forgets the sender, and the
// next one takes the entry.
//
// # Maps
//
// A packet names the version of the slot map by which its entries were routed, the same one
// for all. An owner with an older map reads it again and takes nothing meanwhile. A change
// of a slot that is not of the lane by the owner's map, or has come to it since that version,
// is answered with the owner's version, and routed anew by the sender when it has read that
// map.
//
// The changes of a slot are done in the order in which a sender was given them. While some
// of them are open that were routed before the slot has moved, later ones wait; those that
// were refused go first.
//
// What the owner finds in the durable queue for a slot that has left the lane it hands on
// itself, since the sender may be gone. The entry ends when that is decided.
package relay
