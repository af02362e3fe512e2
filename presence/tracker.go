// Package presence knows who is online in a room.
//
// Tracker counts the connections of this node, lets a user who comes straight
// back keep their seat, tells rooms about it in gathered events, and answers
// from a Driver (in process, Redis); when the driver cannot answer, the store
// does.
package presence
