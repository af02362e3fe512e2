// Package consistency decides whether a server kept its promises, from what its
// clients observed.
//
// A client under test notes in a Recorder what it does and what it receives: a send
// before its bytes leave and again when its outcome is known, every message
// delivered, every resume, every read. Check then compares these records with each
// other and with the messages the store holds at the end. Each promise has a name
// for being broken, an Anomaly; what Check returns are the Violations, one for each
// occurrence. It does not depend on how the server is built, so the same check serves
// a toy room, a process that is killed twenty times, and a cluster.
//
// Check takes time and memory linear in the number of records: each promise is
// decided by one walk over them, without a search.
//
// Its conclusions hold only if the caller keeps two rules. Every send has a key that
// no other message of that user in that room has. Fail is noted only if the server
// has refused the message for good; a timeout or a broken connection is Unknown: such
// a message may appear later, once, or never.
package consistency
