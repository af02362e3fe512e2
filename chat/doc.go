// Package chat is the product in nouns and rules: rooms, members, messages,
// events, limits, error kinds and goodbyes. It does no I/O and imports nothing
// of this module, so every other package may speak its language.
//
// Everything in a room is ordered by two counters. Seq numbers its messages
// 1,2,3… without holes. Rev counts every durable change (a message written,
// edited, deleted or reacted to, a member who joined or left, a new title),
// also without holes. A client that has seen everything up to rev R asks for
// "everything after R" and is whole again, however long it was away.
package chat
