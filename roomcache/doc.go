// Package roomcache keeps in memory what joins and questions read of rooms: the room, the
// rows of members that asked, the first page of members, the newest messages. An answer from
// the cache is one that the database could have given at that moment.
//
// Each batch of the bus is applied to the rooms of its lane before the hub delivers it, so
// what a client reads here is never behind the start of its subscription. A new message is
// applied; an edit, a deletion or a reaction drops the newest messages; any other event
// drops the room. A hole in the positions drops all rooms of the lane.
//
// The bus proves nothing: it may be late, or cut off. Each question therefore first reads
// the position of the lane from its database, one small row, and waits up to lagTime for the
// batches up to it; without them it reads the database as if there were no cache. Concurrent
// questions share one such read, if it began after they came. So a member who was removed on
// another node reads nothing from here afterwards, the package needs no clock and no time to
// live, and nothing has to happen when the bus reconnects.
//
// Everything kept of a room is as of its rev or newer, as in a reply to a join that is put
// together from several reads of the database (engine.Join): what is newer than the rev also
// comes as live events.
//
// A cache that receives no batches keeps nothing; a single node does not feed it, since its
// rows are in the same process.
package roomcache
