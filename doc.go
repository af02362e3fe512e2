// Package roomtide is the root of the module. It holds no code, only this
// introduction to the whole system and the tests that compare the tree with its
// documents. The program is cmd/roomtide.
//
// # What it is
//
// Roomtide is a chat server for an existing web site: one binary that needs no
// other service. Users talk in rooms. What happens in a room has one order, and
// every client is shown exactly that order, with no message missing and none
// twice, however often its connection breaks.
//
// Four terms carry this promise. A message has a seq: 1, 2, 3… in its room,
// without holes. Every durable change of a room (a message, an edit, a deletion, a
// reaction, a membership, a title) has a rev, also 1, 2, 3… without holes. A
// sender may give a message a key: the same user, room and key is the same message,
// so sending it again is safe. And a lane has a position, which counts its commits
// and fences off every other writer.
//
// Rooms and users hash into 1024 slots. A map says which shard owns which slot. A
// shard is one database, by default one of four SQLite files, and each shard has
// one lane: the goroutine that decides and commits every change of its rooms.
//
// # The road of a message
//
// A browser sends a frame. This is what each package does with it, and what each
// promises to the next.
//
// Packages wsapi, sioapi and httpapi are three transports of one API: a native
// WebSocket, Socket.IO, and HTTP with event streams. A transport checks the origin,
// bounds sizes and connections, and decodes the frame into a wire.Command. It
// promises that the commands of a connection arrive one after the other. An idle
// connection costs it no goroutine: internal/poll watches its socket.
//
// Package session is the conversation of one connection: its user, which package
// identity has verified, and the rooms it has joined. Questions are answered before
// the next command is read. Changes are handed on and answered when they are
// committed; when 256 are in flight, the connection is not read.
//
// Package engine is what a user can do, one file for each verb. It checks what
// needs no database (ids, sizes, rates), answers what is only read from package
// store, and turns everything else into a change: a value of package change,
// plain data that can be written down, sent and repeated.
//
// Package lane takes all changes that wait for a shard as one batch. It loads the
// rows they depend on, decides them in memory by the rules of package chat, assigns
// seq and rev, and commits everything in one transaction: rows, an entry of the
// outbox, and the position, which must be the one the lane expects. While the
// commit is written (fsync), the next batch gathers, so batches grow with the load;
// those of a busy lane begin at least five milliseconds apart. Nothing is shown to
// any client before the commit.
//
// After the commit come first the acks, then the events. An ack is queued on the
// sender's connection. The events of the batch go to the bus as one unit, which
// brings them to every node that listens to the lane. A bus may lose a batch and never
// invents or reorders one: the receiver sees a hole in the positions or the revs.
//
// Package hub owns the connections of a node and does the fan-out. An event is
// encoded once per encoding and appended once to the log of its room. A
// subscription is a cursor into that log, so delivering means writing what lies
// between the cursor and the end. Workers write in rounds: each connection gets,
// with one system call, its ack and everything it has not received from all of its
// rooms. A slow reader costs a cursor, not a queue; when the log has moved past its
// cursor it is told of a gap.
//
// Meanwhile the consumers of package outbox read what the lanes committed, each
// with a cursor of its own, at least once and in order per lane. Package projection
// has the first of them: the room list of users, which lives on the user's shard and
// not on the room's, and the copies of users' names in rooms. Package notify makes jobs for
// members who are away, and package push hands them to the services that wake phones and
// browsers. Package hostevents turns commits into events, which package webhook delivers to
// the host's back end, and which the back end may pull through package feed instead.
//
// Ephemeral events (typing, presence, moved read marks) take only the second half of
// the road, from the bus on. They have no rev and are not repeated. Package presence
// counts the connections of each user and room and publishes changes in portions; the
// store keeps a record of it for when the presence driver fails. Package attendance records
// at which nodes each user is connected, for webhooks that report users online and offline.
// Package cluster knows the name of this node and, by leases, which nodes are alive.
//
// # What happens when something fails
//
// A node is killed: its clients reconnect and resume. What was acknowledged is in
// the database. What was not acknowledged is sent again with its key, and is a
// repeat if it had been committed.
//
// A commit fails: nothing of the batch was written, and every sender gets an error
// that says whether to try again. If the outcome is unknown, the lane reads its
// position: it has moved exactly if the transaction happened. While writing does
// not work, reads, joins of members and deliveries go on, and the lane tries again
// each second.
//
// Two processes believe they own a lane: the position in the transaction admits
// one. The other is fenced and its node stops. Leases and clocks decide only
// which one should try, never which one may.
//
// The bus loses a batch: the hub finds the hole with the next one, or because a client
// that joined has a higher rev than the hub, and sends a gap. Presence, caches, the
// bus and the hub can be wiped at any time. Only SQL holds truth.
//
// Too much arrives: every queue has a bound, a policy when it is full and a counter
// (the table is in docs/architecture.md). New work is refused with busy and a
// random retry_after before accepted work suffers. When thousands of clients
// reconnect at once, connections are accepted at a rate and joins and authentications
// wait in package internal/limit.
//
// A disk is full or damaged: writing reports read_only, reading goes on, and a node
// whose files are damaged refuses to start with the name of the file.
//
// # How a client comes back
//
// A client remembers the highest rev it has of each room. It joins with that rev,
// and the reply holds what changed since, by state: each message and member once,
// as it is now, in pages if it is much. Only the last page is followed by live
// events, which begin exactly after its rev. The subscription is taken before the
// store is read, so nothing falls between the two. The same join follows a gap, a
// broken connection, a restart and a month offline; there is no second way.
//
// Stock Socket.IO clients do this without code in the page. The offset in each of
// their events is a room and a rev, and the hub's delivery log of a connection says
// what was written before it in all other rooms. Package sioapi keeps the resulting
// positions while a client is away.
//
// # Several nodes
//
// One node uses in-process drivers for what several nodes would share, so the road
// stays the same when these are replaced. Databases, the bus and presence are
// contracts (packages store, bus, presence) with drivers below them, and every
// driver passes the suite of its contract.
//
// With several nodes each lane has a lease, a row in its shard: its holder owns the
// lane. Package relay hands the changes of every other node to the owner, in numbered
// packets; the owner commits and publishes the batch to all nodes, and the sender's
// node queues the ack. When an owner ends, another node takes the lease, and what has
// no outcome yet goes to it, in its order. Package roomcache keeps what a node reads of
// rooms, and proves by the position that it is as new as the database. Package mover
// moves slots from one shard to another while a node serves: what is committed meanwhile
// it reads from the outbox.
//
// # How another chat moves in
//
// Package adopt is a process beside a node and beside the old chat's database. It reads
// the tables through a mapping, imports what is new or has changed, and writes what is said
// here back into them. It may be killed at any time: what it imports has keys, and what it
// writes back is in one transaction with its place in the feed.
//
// # Where to go on
//
// docs/architecture.md has the words, the floors of the packages, the goroutines and
// the queues. docs/decisions says why, docs/protocol/README.md what clients speak,
// CONTRIBUTING.md how to change it. To follow the road in code, read in this order:
// chat, wire, session/change.go, engine/send.go, lane/lane.go, hub/hub.go.
package roomtide
