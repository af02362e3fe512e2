package lane

import "time"

const (
	// paceEvery is the least time from the begin of a batch to the begin of the next, under load. It
	// is several commits of a fast disk, and less than one over a network, which is then not waited for.
	paceEvery = 5 * time.Millisecond
	// paceFrom is how many changes a batch has under load. One client that waits for each ack, or a few,
	// never fill such a batch, and are never made to wait.
	paceFrom = 8
)

// pace keeps the batches of a busy lane apart. A commit costs the pages that it touches and a sync,
// whatever it holds: where those are done in a millisecond, a lane under load would spend its
// processor on many small batches, and hub and consumers of the outbox follow each (decision 52).
type pace struct {
	begun time.Time // the last batch
	busy  bool      // it had paceFrom changes
}

// begin notes that a batch of n changes begins.
func (p *pace) begin(n int) {
	p.begun, p.busy = time.Now(), n >= paceFrom
}

// wait waits until the next batch may begin.
func (p *pace) wait() {
	if p.busy {
		time.Sleep(paceEvery - time.Since(p.begun))
	}
}
