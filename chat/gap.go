package chat

// GapReason is why a client is told of a gap: that it has missed events of a
// room, gets no more of it, and has to join it again with the rev it has.
type GapReason uint8

const (
	GapSlow    GapReason = iota // the client reads too slowly: what it has not got has left the room's log
	GapBehind                   // between the answer to the join and the first event more happened than the log holds
	GapLost                     // the bus lost events
	GapLate                     // the bus did not bring a commit in time
	GapReset                    // the history of the room is another one: it was restored from a backup
	GapMemory                   // as slow, but earlier: the node has no more memory for what slow connections have not got
	GapHistory                  // messages of the past were put into the room (change.Import)
	GapReasons
)

var gapReasons = [GapReasons]string{"slow", "behind", "lost", "late", "reset", "memory", "history"}

// String is the word in the frame, the counter and the log.
func (r GapReason) String() string {
	if r < GapReasons {
		return gapReasons[r]
	}
	return "unknown"
}
