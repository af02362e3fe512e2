// Package roomcache keeps in memory what joins and questions read of rooms: the room, the
// rows of members that asked, the first page of members, the newest messages. An answer from
// it is the one that the database would have given.
//
// Each batch of the bus brings the rooms of its lane forward, before the hub gives the same
// batch to clients, so that what a client reads here is never behind what its subscription
// begins with. A change that it cannot follow drops the room: anything about members, about
// the room itself or about its past. A hole in the positions drops all rooms of the lane.
//
// The bus alone proves nothing: it may be late, or cut off. So each question first reads the
// position of the lane from its database, one small row, and waits a moment until the batches
// up to it have been heard; if they are not, it reads the database as if there was no cache.
// A question that waits for its turn takes the answer of one that was asked after it came.
// That is why a member who was put out on another node reads nothing from here afterwards,
// why no clock and no time to live is in this package, and why nothing has to be done when
// the bus reconnects.
//
// All that is kept of a room is as of its rev or newer, by the same rules by which the reply
// to a join may be put together from several reads of the database (engine.Join): what is
// newer than its rev comes as live events too.
//
// A cache that hears nothing (a single node, which has its rows beside it) keeps nothing.
package roomcache
