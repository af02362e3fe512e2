// Package chat holds the nouns and rules of the product: rooms, members, messages,
// events, limits, kinds of errors and goodbyes. It does no I/O and imports nothing
// of this module, so every other package can use it.
//
// Everything in a room is ordered by two counters. Seq numbers its messages
// 1,2,3… without holes. Rev counts every durable change (a message written,
// edited, deleted or reacted to, a membership begun or ended, a new title), also
// without holes. A client that has everything up to rev R asks for everything
// after R and is up to date again, however long it was away.
package chat
