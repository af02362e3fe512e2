// Package hub holds the connections of this node and writes to them.
//
// Every room with a subscription here has a log: a bounded run of framed bytes,
// one for each encoding in use. An event is encoded once and appended once. A
// subscription is an offset in that log, so delivering is writing what lies between
// the offset and the head, with no queue and no copy for each receiver.
//
//	   bus.Batch (any goroutine)
//	        │ Deliver: for each room of the batch
//	        ▼
//	┌ room ───────────────────────────────┐
//	│ rev      newest durable event       │
//	│ logs     by encoding, base … head   │◄── offset ── subscription ── Conn
//	│ shares   by worker ─────────┐       │               (paused, waiting,
//	└─────────────────────────────┼───────┘                flowing, stopped)
//	        │ markDirty            ▼                                ▲
//	        ▼                 roomShare: the subscriptions          │ private
//	   worker.todo ── Kick ──►  of one worker's connections         │ frames
//	        │                                                       │ (acks, gaps)
//	        ▼ round                                                 │
//	   scan: snapshot of the logs, items ──► write: one TryWrite for each Conn ──► Link
//
// The hub listens to the lanes of its rooms. When a batch has been delivered the
// workers are woken, and a worker makes a round: it scans its shares of all dirty
// rooms for what its connections have not got, and writes each connection once.
// While a round runs, more gathers, and the next round carries it all: batches grow
// with the load by themselves. Private frames go first, so an ack that is queued
// before its event is published is never behind it.
//
// A connection whose link accepts no more leaves the rounds until it is writable
// again. It costs its offsets, the rest of one frame, one large reply and
// Config.PrivateBytes of small ones. One that takes less than Config.MinRate is
// closed. For all connections together there are two budgets: of replies that wait
// (beyond it the connections with the most waiting are closed) and of room logs
// (beyond it logs are cut, the largest first, and their slow readers get a gap).
//
// A subscription ends with the membership of its user (evict), which may happen while
// a join is under way. So the answer of a join is queued in one step with a look at
// the subscription (Enter), and a client never hears that it is in a room behind the
// event that says that it is not. The subscription is what presence counts.
//
// Where a subscription cannot go on without leaving something out, its client is
// told of a gap (chat.GapReason says why, subscription.gapReason decides) and gets
// no more of the room until it has joined again, by rev, from the store. Batches
// that the bus loses show as a hole in the lane's positions; then all rooms of the
// lane are given up so, since it is not known which were concerned.
//
// The worker of a connection alone writes to its link. The order of the locks:
// roomShare.mu first; room.mu, Conn.mu and worker.mu may be taken under it, and
// nothing under those, but for worker.mu. All others are taken alone. No lock is held while a Bus
// or a Link is called. Deliver and SendLater take room.mu, Conn.mu and worker.mu,
// which are held for a few copies only: a lane that delivers waits for no round
// and for no reader. (Only where a membership ended it takes roomShare.mu, which a
// round holds while it scans a piece of it.)
package hub
