// Package natsstream carries streams of bytes between the processes of a deployment, over
// NATS core: what a TCP connection from node to node would be, without a port, a
// certificate and an address for each of them.
//
// # Names and subjects
//
// Each process has a tag, 16 hexadecimal digits that are random, and is subscribed to
//
//	<prefix>.st.<its tag>.<tag of the sender>
//
// Only what is a tag can be dialed, so that a tag which a client has made up leads to a
// process of the same deployment or nowhere: NATS itself says at once if nothing is
// subscribed. A process that was started again has another tag.
//
// # Frames
//
// NATS loses messages and never reorders those of one process. The frames from one
// process to another are numbered, all streams together; a hole ends every stream between
// the two, and so does a connection to NATS that was made again. So a stream is exact or
// it fails. Nothing is sent twice.
//
// While two processes have streams, each asks the other every second, and ends them when
// NATS says that it is gone, or when nothing was heard for some seconds.
//
// # Bounds
//
// A stream has a window: what was sent and not yet read is at most 64 KiB, behind which
// Write waits. All windows together hold at most Config.MaxBytes; a stream whose data
// would exceed that fails. There are at most Config.MaxStreams, and no more are dialed or
// accepted.
package natsstream
