// Package adopt moves another chat into Roomtide while it goes on: what roomtide adopt does.
//
// It is a process of its own, beside the old chat's database and beside any node, and may
// be killed at any time. It reads the old tables through a mapping (adopt/source), is told
// by a follower (adopt/follow) which rows may have changed, and puts them into a node with
// POST /v1/import. What is said in Roomtide it pulls from a feed, and writes into the old
// table: the mirror. So old pages and new clients talk to each other.
//
// # Why nothing is lost or doubled
//
// Towards Roomtide: a row has an idempotency key, made of the source's name and its own
// key, so that importing it again is answered with the same message. The follower's
// position is stored when what came before it has been imported.
//
// Towards the old table: the mirror writes a message, a row of roomtide_map (the row's key,
// the message) and its place in the feed in one transaction of their database. It
// acknowledges a place to the node after that transaction.
//
// Loops: the follower sees rows that the mirror has written, and knows them by
// roomtide_map. The mirror hears of messages that were imported, and knows them by their
// idempotency key.
//
// Changes on both sides: each side is compared with what both had when they were last the
// same, by a hash. The side that has not changed since takes over what the other has. If
// both have changed, the old table counts, until both are equal.
//
// # The state
//
// One SQLite file beside the mapping (State): rows that wait for their turn in the copy,
// row -> message, and positions. All of it can be made again from the two sides.
package adopt
