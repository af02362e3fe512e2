package chat

import (
	"cmp"
	"slices"
)

// Delta is the state of everything in a room that changed after a rev: each
// message and member once, as it is now. Applying it brings a client from After to
// Rev.
type Delta struct {
	Room     Room
	After    Rev
	Rev      Rev       // complete up to here; equals Room.Rev unless More
	Messages []Message // ascending Rev
	Members  []Member  // ascending Rev
	Info     bool      // Room's title or policy changed after After
	Reset    bool      // After is of a history that is gone; there is nothing else in the delta
	More     bool      // ask again with After = Rev
}

// Events turns the delta into events in ascending rev, for a client that has
// everything up to since. A delta knows the newest state alone: a message written
// after since becomes EventMessage, with later edits in it; an older one becomes
// EventEdited, whole, also when it only got a reaction.
func (d *Delta) Events(since Rev) []*Event {
	evs := make([]*Event, 0, len(d.Messages)+len(d.Members)+1)
	for i := range d.Messages {
		m := &d.Messages[i]
		kind := EventEdited
		switch {
		case m.Deleted:
			kind = EventDeleted
		case m.Created > since:
			kind = EventMessage
		}
		evs = append(evs, &Event{Kind: kind, Room: d.Room.ID, Rev: m.Rev, Message: m})
	}
	for i := range d.Members {
		m := &d.Members[i]
		evs = append(evs, &Event{Kind: EventMember, Room: d.Room.ID, Rev: m.Rev, Member: m})
	}
	if d.Info && d.Room.InfoRev <= d.Rev {
		evs = append(evs, &Event{Kind: EventRoom, Room: d.Room.ID, Rev: d.Room.InfoRev, Info: &d.Room})
	}
	slices.SortStableFunc(evs, func(a, b *Event) int { return cmp.Compare(a.Rev, b.Rev) })
	return evs
}
