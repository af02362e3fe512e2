// Package consistency decides whether a server kept its promises, from what its
// clients saw.
//
// Clients under test note in a Recorder what they do and what happens to them:
// a send before its bytes leave and again when its outcome is known, every
// message delivered, every resume, every read. Check then compares these
// records with each other and with the messages the store holds at the end. It
// knows nothing of the server's inside, so the same check serves a toy room, a
// process that is killed twenty times, and a cluster.
//
// Check takes time and memory linear in the number of records: each promise is
// decided by one walk over them, nothing is searched.
//
// The rules that make this possible are the caller's duty. Every send has a key
// that no other message of that user in that room has. Fail is noted only when
// the server has said that the message was refused for good; a timeout or a
// broken connection is Unknown, which may turn up later, once, or never.
package consistency
